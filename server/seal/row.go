package seal

import "encoding/binary"

// Row is the context of a secret that is in a row: the kind of resource, such as
// "vault_secret", the row's id, and the field. No two places have the same context.
// Changing a kind or a field's name in the program makes what is sealed unreadable.
func Row(kind, id, field string) []byte {
	var context []byte
	for _, part := range []string{kind, id, field} {
		context = binary.AppendUvarint(context, uint64(len(part)))
		context = append(context, part...)
	}
	return context
}
