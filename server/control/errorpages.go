package control

import (
	"encoding/json"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
	"github.com/postern-dev/postern/server/errorpage"
)

// useErrorPages has visitors be shown the pages that r gives, after they were found to be
// usable.
func useErrorPages(r *link.BindRequest, u postern.URL) error {
	raw, asked := r.Middleware[sessionmsg.ErrorPages]
	if !asked {
		return nil
	}
	var pages postern.ErrorPages
	if err := json.Unmarshal(raw, &pages); err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "error_pages cannot be read: it is an object with pages and maintenance").Because(err)
	}
	err := errorpage.CheckURL(u)
	if err == nil {
		_, err = errorpage.Compile(pages)
	}
	if err != nil {
		return postern.Errorf(postern.CodeBindInvalid, "%s", postern.AsError(err).Text())
	}
	text, err := json.Marshal(pages)
	if err != nil {
		return postern.Errorf(postern.CodeInternal, "error pages cannot be written").Because(err)
	}
	if !pages.Empty() {
		r.Options.ErrorPages = string(text)
	}
	return nil
}
