package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/postern-dev/postern"
)

// micros is a time in a column of microseconds.
type micros struct{ at *time.Time }

func (m micros) Value() (driver.Value, error) { return m.at.UnixMicro(), nil }

func (m micros) Scan(from any) error {
	var n sql.NullInt64
	if err := n.Scan(from); err != nil {
		return err
	}
	*m.at = instant(n.Int64)
	return nil
}

// maybe is a time that may be zero, which is NULL.
type maybe struct{ at *time.Time }

func (m maybe) Value() (driver.Value, error) {
	if m.at.IsZero() {
		return nil, nil //nolint:nilnil // NULL
	}
	return m.at.UnixMicro(), nil
}

func (m maybe) Scan(from any) error {
	*m.at = time.Time{}
	if from == nil {
		return nil
	}
	return micros(m).Scan(from)
}

// orNull is a text that may be empty, which is NULL: for columns that refer to others.
type orNull[S ~string] struct{ text *S }

func (o orNull[S]) Value() (driver.Value, error) {
	if *o.text == "" {
		return nil, nil //nolint:nilnil // NULL
	}
	return string(*o.text), nil
}

func (o orNull[S]) Scan(from any) error {
	var s sql.NullString
	if err := s.Scan(from); err != nil {
		return err
	}
	*o.text = S(s.String)
	return nil
}

// document is anything in a column of JSON text. What cannot be read is an error, never
// an empty value: an empty list of rules may mean that everything is allowed.
type document[V any] struct{ value *V }

func (d document[V]) Value() (driver.Value, error) {
	text, err := json.Marshal(*d.value)
	return string(text), err
}

func (d document[V]) Scan(from any) error {
	var s sql.NullString
	if err := s.Scan(from); err != nil {
		return err
	}
	var value V
	if err := json.Unmarshal([]byte(s.String), &value); err != nil {
		return fmt.Errorf("a stored document cannot be read: %w", err)
	}
	*d.value = value
	return nil
}

// errorPages are in a column of JSON text, NULL where they say nothing.
type errorPages struct{ pages *postern.ErrorPages }

func (p errorPages) Value() (driver.Value, error) {
	if p.pages.Empty() {
		return nil, nil //nolint:nilnil // NULL
	}
	return document[postern.ErrorPages]{p.pages}.Value()
}

func (p errorPages) Scan(from any) error {
	*p.pages = postern.ErrorPages{}
	if from == nil {
		return nil
	}
	return document[postern.ErrorPages]{p.pages}.Scan(from)
}

// hashed is a verifier in a column of bytes.
type hashed struct{ hash *[32]byte }

func (h hashed) Value() (driver.Value, error) { return h.hash[:], nil }

func (h hashed) Scan(from any) error {
	stored, _ := from.([]byte)
	return verifier(h.hash, stored)
}

// jsonText is JSON that somebody else reads, in a column of text.
type jsonText struct{ text *[]byte }

func (j jsonText) Value() (driver.Value, error) { return string(*j.text), nil }

func (j jsonText) Scan(from any) error {
	var s sql.NullString
	if err := s.Scan(from); err != nil {
		return err
	}
	*j.text = []byte(s.String)
	return nil
}

// bytesOrNone are bytes that may be none, which is not NULL.
type bytesOrNone struct{ bytes *[]byte }

func (b bytesOrNone) Value() (driver.Value, error) {
	if *b.bytes == nil {
		return []byte{}, nil
	}
	return *b.bytes, nil
}

func (b bytesOrNone) Scan(from any) error {
	stored, _ := from.([]byte)
	*b.bytes = nil
	if len(stored) > 0 {
		*b.bytes = append([]byte(nil), stored...)
	}
	return nil
}
