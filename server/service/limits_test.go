package service_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/service"
)

func TestLimits(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	other := w.stranger(t, "other")
	operator := service.Caller{Account: c.Account, Role: postern.Owner, Source: service.SourceServer}
	admin := service.Caller{Account: c.Account, Role: postern.Admin, Source: service.SourceAPI}
	five, none, wrong := int64(5), int64(0), int64(-1)
	of := postern.LimitOverrides{Sessions: &five, BytesPerSecond: &none}

	refused(t, w.SetLimits(t.Context(), admin, string(c.Account), of), postern.CodeNotPermitted)
	refused(t, w.SetLimits(t.Context(), service.Caller{Account: c.Account, Role: postern.Developer}, string(c.ID), of), postern.CodeNotPermitted)
	refused(t, w.SetLimits(t.Context(), operator, string(other.ID), of), postern.CodeNotFound)
	refused(t, w.SetLimits(t.Context(), operator, "cr_nobody", of), postern.CodeNotFound)
	refused(t, w.SetLimits(t.Context(), admin, string(c.ID), postern.LimitOverrides{Endpoints: &wrong}), postern.CodeFieldInvalid)
	if all := must[map[string]postern.LimitOverrides](t)(w.AllLimits(t.Context())); len(all) != 0 {
		t.Errorf("what was refused is there: %v", all)
	}

	changes := w.bus.Subscribe(8, event.LimitsUpdated)
	defer changes.Close()
	for subject, by := range map[string]service.Caller{string(c.Account): operator, string(c.ID): admin} {
		if err := w.SetLimits(t.Context(), by, subject, of); err != nil {
			t.Fatal(err)
		}
		d := must[event.Delivery](t)(changes.Next(t.Context()))
		told, o, err := service.ReadLimits(d.Record.Object)
		if diff := cmp.Diff(of, o); err != nil || told != subject || d.Record.Subject != subject || diff != "" {
			t.Errorf("the event says %q, %v (-want +got):\n%s", told, err, diff)
		}
		if got := must[postern.LimitOverrides](t)(w.Limits(t.Context(), admin, subject)); !cmp.Equal(got, of) {
			t.Errorf("%s: %+v", subject, got)
		}
	}
	want := map[string]postern.LimitOverrides{string(c.Account): of, string(c.ID): of}
	if diff := cmp.Diff(want, must[map[string]postern.LimitOverrides](t)(w.restart(t).AllLimits(t.Context()))); diff != "" {
		t.Errorf("all limits (-want +got):\n%s", diff)
	}
}

func TestLimitsAreTakenBack(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	operator := service.Caller{Account: c.Account, Role: postern.Owner, Source: service.SourceServer}
	five := int64(5)
	for _, o := range []postern.LimitOverrides{{Endpoints: &five}, {}} {
		if err := w.SetLimits(t.Context(), operator, string(c.ID), o); err != nil {
			t.Fatal(err)
		}
	}
	if all := must[map[string]postern.LimitOverrides](t)(w.AllLimits(t.Context())); len(all) != 0 {
		t.Errorf("%v", all)
	}
	if _, _, err := service.ReadLimits([]byte("nonsense")); err == nil {
		t.Error("nonsense was read")
	}
}
