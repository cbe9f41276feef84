package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

// table says how rows of R lie in the database. Resources share one set of statements,
// composed here of names that are written in this package, because lists are filtered
// by conditions that are only known when they come; sqlc's are for the rest.
type table[R any, P store.Headed[R]] struct {
	name    string // in the database
	what    string // one row, for messages
	columns []column
	// fields are pointers into a row, or what scans into it, one for each of columns.
	fields func(P) []any
}

// column is a column and what filters may ask of it.
type column struct {
	name string
	kind columnKind
}

type columnKind int

const (
	opaque  columnKind = iota // not to be filtered by
	text                      // string
	number                    // int64
	boolean                   // bool
	moment                    // time.Time, microseconds
)

// headColumns are those of a Meta, with which every table of a resource begins.
func headColumns(more ...column) []column {
	return append([]column{
		{"id", text}, {"account_id", text}, {"description", text}, {"metadata", text},
		{"created_at", moment}, {"updated_at", moment},
	}, more...)
}

// headFields are the fields of headColumns.
func headFields(m *store.Meta, more ...any) []any {
	return append([]any{&m.ID, &m.Account, &m.Description, &m.Metadata, micros{&m.CreatedAt}, micros{&m.UpdatedAt}}, more...)
}

// rows are a table within a transaction.
type rows[R any, P store.Headed[R]] struct {
	table[R, P]
	db      query.DBTX
	dialect Dialect
}

func (r rows[R, P]) Create(ctx context.Context, row R) error {
	marks := make([]string, len(r.columns))
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(i+1)
	}
	statement := "INSERT INTO " + r.name + " (" + r.names() + ") VALUES (" + strings.Join(marks, ", ") + ")"
	_, err := r.db.ExecContext(ctx, statement, r.fields(&row)...)
	return r.explain(err)
}

func (r rows[R, P]) Get(ctx context.Context, account postern.AccountID, id string) (R, error) {
	var row R
	statement := "SELECT " + r.names() + " FROM " + r.name + " WHERE id = $1"
	args := []any{id}
	if account != "" {
		statement += " AND account_id = $2"
		args = append(args, string(account))
	}
	err := r.db.QueryRowContext(ctx, statement, args...).Scan(r.fields(&row)...)
	return row, found(err, r.what, id)
}

func (r rows[R, P]) List(ctx context.Context, p store.Page) ([]R, error) {
	wanted := conditions{columns: r.columns, dialect: r.dialect}
	if p.Account != "" {
		wanted.and("account_id = " + wanted.arg(string(p.Account)))
	}
	if p.Before != "" {
		wanted.and("id < " + wanted.arg(p.Before))
	}
	if err := wanted.filter(p.Where); err != nil {
		return nil, err
	}
	statement := "SELECT " + r.names() + " FROM " + r.name + wanted.where() + " ORDER BY id DESC LIMIT " + wanted.arg(int64(most(p.Limit)))
	result, err := r.db.QueryContext(ctx, statement, wanted.args...)
	if err != nil {
		return nil, translate(err)
	}
	defer result.Close()
	var list []R
	for result.Next() {
		var row R
		if err := result.Scan(r.fields(&row)...); err != nil {
			return nil, translate(err)
		}
		list = append(list, row)
	}
	return list, translate(result.Err())
}

func (r rows[R, P]) Count(ctx context.Context, account postern.AccountID, where store.Filter) (count int64, err error) {
	wanted := conditions{columns: r.columns, dialect: r.dialect}
	wanted.and("account_id = " + wanted.arg(string(account)))
	if err := wanted.filter(where); err != nil {
		return 0, err
	}
	err = r.db.QueryRowContext(ctx, "SELECT count(*) FROM "+r.name+wanted.where(), wanted.args...).Scan(&count)
	return count, translate(err)
}

func (r rows[R, P]) Update(ctx context.Context, row R) error {
	// id and account_id come first and say which row; the rest is set.
	set := make([]string, 0, len(r.columns))
	for i, c := range r.columns[2:] {
		set = append(set, c.name+" = $"+strconv.Itoa(i+3))
	}
	statement := "UPDATE " + r.name + " SET " + strings.Join(set, ", ") + " WHERE id = $1 AND account_id = $2"
	result, err := r.db.ExecContext(ctx, statement, r.fields(&row)...)
	return r.one(result, err, P(&row).Head().ID)
}

func (r rows[R, P]) Delete(ctx context.Context, account postern.AccountID, id string) error {
	result, err := r.db.ExecContext(ctx, "DELETE FROM "+r.name+" WHERE id = $1 AND account_id = $2", id, string(account))
	if violation(err) == sqliteConstraintForeignKey {
		return postern.Errorf(postern.CodeConflict, "%s %q is in use", r.what, id).Because(err)
	}
	return r.one(result, err, id)
}

// one makes sure that a statement met its row.
func (r rows[R, P]) one(result sql.Result, err error, id string) error {
	if err != nil {
		return r.explain(err)
	}
	count, err := result.RowsAffected()
	if err == nil && count == 0 {
		err = sql.ErrNoRows
	}
	return found(err, r.what, id)
}

// explain names the table's rows in what constraints say.
func (r rows[R, P]) explain(err error) error {
	if violation(err) == sqliteConstraintUnique {
		return postern.Errorf(postern.CodeConflict, "there is such a %s already", r.what).Because(err)
	}
	return translate(err)
}

func (r rows[R, P]) names() string {
	names := make([]string, len(r.columns))
	for i, c := range r.columns {
		names[i] = c.name
	}
	return strings.Join(names, ", ")
}

// conditions gathers the WHERE of a statement, and its arguments.
type conditions struct {
	columns []column
	dialect Dialect
	parts   []string
	args    []any
}

// arg adds an argument and returns its placeholder.
func (c *conditions) arg(value any) string {
	c.args = append(c.args, value)
	return fmt.Sprintf("$%d", len(c.args))
}

func (c *conditions) and(part string) { c.parts = append(c.parts, part) }

func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}
