package service

// What the fuzz targets of tokens need.
var (
	NewToken   = newToken
	ParseToken = parseToken
)

// MaxWaiting is the bound of the backlog.
const MaxWaiting = maxWaiting
