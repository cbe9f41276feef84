package material

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // keys of old are still encrypted with it
	"crypto/md5" //nolint:gosec // openssl's old way to make a key of a passphrase
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // the default of RFC 8018
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// errPassphrase says that a key does not open.
var errPassphrase = errors.New("another passphrase")

// mostIterations bounds the work that a file may ask of us: a second at most.
const mostIterations = 2_000_000

// algorithm is AlgorithmIdentifier of RFC 5280 §4.1.1.2.
type algorithm struct {
	Algorithm  asn1.ObjectIdentifier
	Parameters asn1.RawValue `asn1:"optional"`
}

// encryptedKey is EncryptedPrivateKeyInfo of RFC 5208 §6.
type encryptedKey struct {
	Algorithm algorithm
	Data      []byte
}

// pbes2 is PBES2-params, and pbkdf2Params PBKDF2-params, of RFC 8018.
type pbes2 struct{ KDF, Cipher algorithm }

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int       `asn1:"optional"`
	PRF        algorithm `asn1:"optional"`
}

// Object identifiers by their text: they are compared once a start.
const (
	oidPBES2  = "1.2.840.113549.1.5.13"
	oidPBKDF2 = "1.2.840.113549.1.5.12"
)

// decryptPKCS8 opens an ENCRYPTED PRIVATE KEY: PBES2 with PBKDF2 and AES or triple DES in
// CBC, which is what openssl has written since 2010.
func decryptPKCS8(der, passphrase []byte) ([]byte, error) {
	var outer encryptedKey
	if _, err := asn1.Unmarshal(der, &outer); err != nil {
		return nil, errors.New("its structure is damaged")
	}
	var scheme pbes2
	if outer.Algorithm.Algorithm.String() != oidPBES2 {
		return nil, fmt.Errorf("the scheme %s", outer.Algorithm.Algorithm)
	}
	if _, err := asn1.Unmarshal(outer.Algorithm.Parameters.FullBytes, &scheme); err != nil {
		return nil, errors.New("its parameters are damaged")
	}
	var kdf pbkdf2Params
	if scheme.KDF.Algorithm.String() != oidPBKDF2 {
		return nil, fmt.Errorf("the key derivation %s", scheme.KDF.Algorithm)
	}
	if _, err := asn1.Unmarshal(scheme.KDF.Parameters.FullBytes, &kdf); err != nil || kdf.Iterations < 1 || kdf.Iterations > mostIterations {
		return nil, errors.New("the parameters of its key derivation are damaged, or ask for too much work")
	}
	size, block, err := cipherOf(scheme.Cipher.Algorithm.String())
	if err != nil {
		return nil, err
	}
	newHash, err := hashOf(kdf.PRF.Algorithm.String())
	if err != nil {
		return nil, err
	}
	key, err := pbkdf2.Key(newHash, string(passphrase), kdf.Salt, kdf.Iterations, size)
	if err != nil {
		return nil, err
	}
	var iv []byte
	if _, err := asn1.Unmarshal(scheme.Cipher.Parameters.FullBytes, &iv); err != nil {
		return nil, errors.New("its parameters are damaged")
	}
	return decryptCBC(block, key, iv, outer.Data)
}

func cipherOf(oid string) (size int, block func([]byte) (cipher.Block, error), err error) {
	switch oid {
	case "2.16.840.1.101.3.4.1.2":
		return 16, aes.NewCipher, nil
	case "2.16.840.1.101.3.4.1.22":
		return 24, aes.NewCipher, nil
	case "2.16.840.1.101.3.4.1.42":
		return 32, aes.NewCipher, nil
	case "1.2.840.113549.3.7":
		return 24, des.NewTripleDESCipher, nil
	}
	return 0, nil, fmt.Errorf("the cipher %s", clip(oid))
}

func hashOf(oid string) (func() hash.Hash, error) {
	switch oid {
	case "", "1.2.840.113549.2.7":
		return sha1.New, nil
	case "1.2.840.113549.2.9":
		return sha256.New, nil
	case "1.2.840.113549.2.10":
		return sha512.New384, nil
	case "1.2.840.113549.2.11":
		return sha512.New, nil
	}
	return nil, fmt.Errorf("the hash %s", clip(oid))
}

// decryptLegacy opens a key with the headers of RFC 1423, as openssl before 1.0 and with
// -traditional writes it.
func decryptLegacy(b block, passphrase []byte) ([]byte, error) {
	name, text, _ := strings.Cut(b.headers["DEK-Info"], ",")
	iv, err := hex.DecodeString(strings.TrimSpace(text))
	if err != nil || len(iv) < 8 {
		return nil, errors.New("its DEK-Info is damaged")
	}
	var size int
	block := aes.NewCipher
	switch name {
	case "AES-128-CBC":
		size = 16
	case "AES-192-CBC":
		size = 24
	case "AES-256-CBC":
		size = 32
	case "DES-EDE3-CBC":
		size, block = 24, des.NewTripleDESCipher
	default:
		return nil, fmt.Errorf("the cipher %s", clip(name))
	}
	var key, last []byte
	for len(key) < size {
		sum := md5.Sum(bytes.Join([][]byte{last, passphrase, iv[:8]}, nil)) //nolint:gosec // see above
		last = sum[:]
		key = append(key, last...)
	}
	return decryptCBC(block, key[:size], iv, b.der)
}

func decryptCBC(block func([]byte) (cipher.Block, error), key, iv, data []byte) ([]byte, error) {
	c, err := block(key)
	if err != nil {
		return nil, err
	}
	if size := c.BlockSize(); len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errors.New("its length is not one that the cipher makes")
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(c, iv).CryptBlocks(plain, data)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > c.BlockSize() || padding > len(plain) {
		return nil, errPassphrase
	}
	for _, b := range plain[len(plain)-padding:] {
		if int(b) != padding {
			return nil, errPassphrase
		}
	}
	return plain[:len(plain)-padding], nil
}
