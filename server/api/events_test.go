package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
)

const theSecret = "s3cr3t-of-the-target"

// targets are one of each kind, with a secret where it has one.
func targets() map[string]object {
	creds := object{"creds": object{"aws_access_key_id": "AKIA1", "aws_secret_access_key": theSecret}}
	return map[string]object{
		"kinesis":         {"stream_arn": "arn:aws:kinesis:1", "auth": creds},
		"firehose":        {"delivery_stream_arn": "arn:aws:firehose:1", "auth": object{"role": object{"role_arn": "arn:aws:iam::1:role/r"}}},
		"cloudwatch_logs": {"log_group_arn": "arn:aws:logs:1", "auth": creds},
		"datadog":         {"api_key": theSecret, "ddtags": "a:b", "service": "s", "ddsite": "datadoghq.eu"},
		"azure_logs_ingestion": {"tenant_id": "t", "client_id": "c", "client_secret": theSecret, "logs_ingestion_uri": "https://x.ingest.monitor.azure.com",
			"data_collection_rule_id": "dcr-1", "data_collection_stream_name": "Custom-s"},
		"debug": {"log": true, "callback_url": "https://example.org/hook"},
	}
}

func TestEventDestinations(t *testing.T) {
	w := newWorld(t)
	for kind, target := range targets() {
		got := w.send("POST", "/event_destinations", object{"format": "json", "description": kind, "target": object{kind: target}})
		if got.StatusCode != http.StatusCreated || strings.Contains(got.text, theSecret) {
			t.Fatalf("%s: %d %s", kind, got.StatusCode, got.text)
		}
		if keys := keysOf(got.body); keys != "created_at description format id metadata target uri" {
			t.Errorf("keys: %s", keys)
		}
		id, _ := got.body["id"].(string)
		if !strings.HasPrefix(id, "ed_") || got.body["format"] != "json" {
			t.Errorf("made %v", got.body)
		}
		shown := at(w.does(200, "GET", "/event_destinations/"+id, nil), "target")
		if keys := keysOf(shown); keys != "azure_logs_ingestion cloudwatch_logs datadog debug firehose kinesis" {
			t.Errorf("targets: %s", keys)
		}
		for other, value := range shown {
			if (value != nil) != (other == kind) {
				t.Errorf("%s: the target %s is %v", kind, other, value)
			}
		}
		for field, value := range target {
			if text, is := value.(string); is && text != theSecret && at(shown, kind)[field] != text {
				t.Errorf("%s.%s is %v, want %v", kind, field, at(shown, kind)[field], text)
			}
		}
		if list := w.send("GET", "/event_destinations", nil); !strings.Contains(list.text, id) || strings.Contains(list.text, theSecret) {
			t.Errorf("list: %s", list.text)
		}
		w.does(200, "PATCH", "/event_destinations/"+id, object{"metadata": "m"})
		w.does(204, "DELETE", "/event_destinations/"+id, nil)
		w.refused(404, "", "GET", "/event_destinations/"+id, nil)
	}
	for _, e := range w.events() {
		if strings.Contains(string(e.Object), theSecret) {
			t.Errorf("the event %s tells the secret: %s", e.Type, e.Object)
		}
	}
}

func TestEventDestinationsAreChecked(t *testing.T) {
	w := newWorld(t)
	all := targets()
	kinesis := func(auth object) object { return object{"kinesis": object{"stream_arn": "arn:1", "auth": auth}} }
	creds, role := object{"aws_access_key_id": "AKIA1", "aws_secret_access_key": theSecret}, object{"role_arn": "arn:r"}
	for name, c := range map[string]struct {
		code postern.Code
		body object
	}{
		"no target":              {postern.CodeEventTargetMissing, object{}},
		"null":                   {postern.CodeEventTargetMissing, object{"target": nil}},
		"an empty one":           {postern.CodeEventTargetMissing, object{"target": object{}}},
		"one that is null":       {postern.CodeEventTargetMissing, object{"target": object{"kinesis": nil}}},
		"two":                    {postern.CodeEventTargetsMany, object{"target": object{"kinesis": all["kinesis"], "debug": all["debug"]}}},
		"no auth":                {postern.CodeEventAuthMissing, object{"target": kinesis(object{})}},
		"two ways":               {postern.CodeEventAuthsMany, object{"target": kinesis(object{"role": role, "creds": creds})}},
		"no secret":              {postern.CodeValueInvalid, object{"target": kinesis(object{"creds": object{"aws_access_key_id": "AKIA1"}})}},
		"no key id":              {postern.CodeValueInvalid, object{"target": kinesis(object{"creds": object{"aws_secret_access_key": theSecret}})}},
		"no ARN":                 {postern.CodeValueInvalid, object{"target": object{"kinesis": object{"auth": object{"role": role}}}}},
		"no API key":             {postern.CodeValueInvalid, object{"target": object{"datadog": object{"service": "s"}}}},
		"no tenant":              {postern.CodeValueInvalid, object{"target": object{"azure_logs_ingestion": object{"client_id": "c"}}}},
		"callback without https": {postern.CodeValueInvalid, object{"target": object{"debug": object{"callback_url": "file:///etc/passwd"}}}},
		"long text":              {postern.CodeFieldInvalid, object{"target": object{"debug": object{"log": true, "callback_url": "https://x/" + strings.Repeat("x", 2048)}}}},
		"other format":           {postern.CodeValueInvalid, object{"format": "xml", "target": object{"debug": all["debug"]}}},
		"unknown target":         {postern.CodeFieldUnknown, object{"target": object{"webhook": object{}}}},
		"unknown field in it":    {postern.CodeFieldUnknown, object{"target": object{"debug": object{"log": true, "level": 1}}}},
	} {
		if message := w.refused(400, c.code, "POST", "/event_destinations", c.body); strings.Contains(message, theSecret) {
			t.Errorf("%s: the message tells the secret: %s", name, message)
		}
	}
	// A client that sends every key sends null for those that it does not mean.
	made := w.does(201, "POST", "/event_destinations", object{"target": object{"kinesis": object{"stream_arn": "arn:1",
		"auth": object{"role": nil, "creds": creds}}, "firehose": nil, "cloudwatch_logs": nil, "datadog": nil, "azure_logs_ingestion": nil, "debug": nil}})
	path := "/event_destinations/" + made["id"].(string) //nolint:forcetypeassert // a test

	// Who reads, changes and writes back has no secret: it stays, for whom it was given.
	target := at(w.does(200, "GET", path, nil), "target")
	at(target, "kinesis")["stream_arn"] = "arn:2"
	if changed := w.does(200, "PATCH", path, object{"target": target}); at(changed, "target", "kinesis")["stream_arn"] != "arn:2" {
		t.Errorf("changed to %v", changed)
	}
	at(target, "kinesis", "auth", "creds")["aws_access_key_id"] = "AKIA2"
	w.refused(400, postern.CodeValueInvalid, "PATCH", path, object{"target": target})
	w.does(200, "PATCH", path, object{"target": object{"debug": object{"log": true}}})
	w.refused(400, postern.CodeValueInvalid, "PATCH", path, object{"target": object{"datadog": object{"service": "s"}}})
}

func TestEventSubscriptions(t *testing.T) {
	w := newWorld(t)
	destination := func() string {
		made := w.does(201, "POST", "/event_destinations", object{"target": object{"debug": object{"log": true}}})
		return made["id"].(string) //nolint:forcetypeassert // a test
	}
	first, second := destination(), destination()
	types := func(names ...string) (sources []any) {
		for _, name := range names {
			sources = append(sources, object{"type": name})
		}
		return sources
	}
	made := w.does(201, "POST", "/event_subscriptions", object{
		"description": "d", "sources": types("ip_policy_created.v0", "vault_deleted.v0"), "destination_ids": []any{first, second},
	})
	id, _ := made["id"].(string)
	path := "/event_subscriptions/" + id
	if keys := keysOf(made); keys != "created_at description destinations id metadata sources uri" || !strings.HasPrefix(id, "esb_") {
		t.Errorf("made %v", made)
	}
	wantSources := []any{
		object{"type": "ip_policy_created.v0", "uri": base + path + "/sources/ip_policy_created.v0"},
		object{"type": "vault_deleted.v0", "uri": base + path + "/sources/vault_deleted.v0"},
	}
	wantDestinations := []any{object{"id": first, "uri": base + "/event_destinations/" + first}, object{"id": second, "uri": base + "/event_destinations/" + second}}
	if fmt.Sprint(made["sources"]) != fmt.Sprint(wantSources) || fmt.Sprint(made["destinations"]) != fmt.Sprint(wantDestinations) {
		t.Errorf("made %v", made)
	}

	if message := w.refused(400, postern.CodeEventDestinationInUse, "DELETE", "/event_destinations/"+first, nil); !strings.Contains(message, id) {
		t.Errorf("the message does not say by what: %s", message)
	}
	changed := w.does(200, "PATCH", path, object{"destination_ids": []any{second}, "metadata": "m"})
	if len(changed["sources"].([]any)) != 2 || changed["description"] != "d" { //nolint:forcetypeassert // a test
		t.Errorf("changed to %v", changed)
	}
	w.does(204, "DELETE", "/event_destinations/"+first, nil)

	for name, c := range map[string]struct {
		code postern.Code
		body object
	}{
		"unknown type":        {postern.CodeEventTypeUnknown, object{"sources": types("name_claimed.v0")}},
		"twice":               {postern.CodeEventSourceRepeated, object{"sources": types("vault_deleted.v0", "vault_deleted.v0")}},
		"no type":             {postern.CodeEventTypeUnknown, object{"sources": []any{object{}}}},
		"unknown destination": {postern.CodeEventDestinationUnknown, object{"destination_ids": []any{first}}},
		"no id":               {postern.CodeEventDestinationUnknown, object{"destination_ids": []any{`","`}}},
		"too many":            {postern.CodeValueInvalid, object{"destination_ids": slices.Repeat([]any{second}, 101)}},
	} {
		if message := w.refused(400, c.code, "POST", "/event_subscriptions", c.body); c.code == postern.CodeEventTypeUnknown {
			for _, known := range event.Sources() {
				if !strings.Contains(message, string(known)) {
					t.Fatalf("%s: the message does not list %s: %s", name, known, message)
				}
			}
		}
		w.refused(400, c.code, "PATCH", path, c.body)
	}
	w.does(204, "DELETE", path, nil)
	w.refused(404, "", "GET", path, nil)
	w.refused(404, "", "GET", path+"/sources", nil)
	w.does(204, "DELETE", "/event_destinations/"+second, nil)
}

func TestEventSources(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/event_subscriptions", object{})
	path := "/event_subscriptions/" + made["id"].(string) + "/sources" //nolint:forcetypeassert // a test
	list := func(want ...string) {
		t.Helper()
		got := w.does(200, "GET", path, nil)
		var have []string
		for _, source := range got["sources"].([]any) { //nolint:forcetypeassert // a test
			have = append(have, source.(object)["type"].(string)) //nolint:forcetypeassert // a test
		}
		if !slices.Equal(have, want) || keysOf(got) != "sources uri" || got["uri"] != base+path {
			t.Errorf("sources %v, want %v", got, want)
		}
	}
	list()
	const one, other, third = "vault_created.v0", "api_key_deleted.v0", "http_request_complete.v0"
	if got := w.does(201, "POST", path, object{"type": one}); got["uri"] != base+path+"/"+one || keysOf(got) != "type uri" {
		t.Errorf("added %v", got)
	}
	w.does(201, "POST", path, object{"type": other})
	w.refused(400, postern.CodeEventSourceRepeated, "POST", path, object{"type": one})
	w.refused(400, postern.CodeEventTypeUnknown, "POST", path, object{"type": "vault_created"})
	w.refused(400, postern.CodeEventTypeUnknown, "POST", path, object{})
	w.refused(400, postern.CodeParameterUnknown, "GET", path+"?limit=1", nil)
	list(one, other)
	if got := w.does(200, "GET", path+"/"+one, nil); got["type"] != one {
		t.Errorf("got %v", got)
	}
	w.does(200, "PATCH", path+"/"+one, object{"type": one})
	w.does(200, "PATCH", path+"/"+one, object{})
	w.refused(400, postern.CodeEventSourceRepeated, "PATCH", path+"/"+one, object{"type": other})
	w.does(200, "PATCH", path+"/"+one, object{"type": third})
	list(third, other)
	for _, method := range []string{"GET", "DELETE"} {
		w.refused(404, "", method, path+"/"+one, nil)
	}
	w.refused(404, "", "PATCH", path+"/"+one, object{"type": one})
	w.does(204, "DELETE", path+"/"+third, nil)
	list(other)
	var updates int
	for _, e := range w.events() {
		if e.Type == event.EventSubscriptionUpdated {
			updates++
		}
	}
	if updates != 6 {
		t.Errorf("%d changes were recorded", updates)
	}
}

// Another account's destinations and subscriptions are not there.
func TestEventResourcesOfOthers(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	made := other.does(201, "POST", "/event_destinations", object{"target": object{"debug": object{"log": true}}})
	w.refused(404, "", "GET", "/event_destinations/"+made["id"].(string), nil) //nolint:forcetypeassert // a test
	for _, d := range []resource.Definition{resource.EventDestinations().Definition, resource.EventSubscriptions().Definition} {
		w.refused(404, "", "PUT", d.Path(), object{})
	}
}
