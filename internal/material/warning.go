package material

import "slices"

// Defect is a kind of weakness of something that can be used all the same.
type Defect string

// The defects.
const (
	Expired       Defect = "expired"
	NotYetValid   Defect = "not_yet_valid"
	Version1      Defect = "version_1"      // no extensions: nobody can tell an authority from a server
	NotAuthority  Defect = "not_authority"  // given as an authority, but vouches for itself alone
	SameSubject   Defect = "same_subject"   // of a certificate and of who signed it
	NoNames       Defect = "no_names"       // in the subjectAltName
	WrongUsage    Defect = "wrong_usage"    // the extended key usage is another
	WeakKey       Defect = "weak_key"       //
	WeakSignature Defect = "weak_signature" // SHA-1 or MD5
	LongLife      Defect = "long_life"      // clients refuse it
	Order         Defect = "order"          // of a chain; put right
	Superfluous   Defect = "superfluous"    // left out
	Stale         Defect = "stale"          // a revocation list past its next update
)

// Warning is a Defect of one certificate, in words for whoever made it.
type Warning struct {
	Defect Defect
	Text   string // what is wrong, and what comes of it
	Advice string // what makes it right; "" where Text says it
}

// String is text and advice in one line.
func (w Warning) String() string {
	if w.Advice == "" {
		return w.Text
	}
	return w.Text + "; " + w.Advice
}

// Has tells whether one of the warnings is of the defect.
func Has(warnings []Warning, d Defect) bool {
	return slices.ContainsFunc(warnings, func(w Warning) bool { return w.Defect == d })
}

// What makes certificates right.
const (
	adviceServer = `"postern ca server NAME" makes one`
	adviceCA     = `"postern ca init" makes one`
)
