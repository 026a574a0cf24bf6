package contact

import "strings"

// The bounds of RFC 5321 §4.5.3.1, in bytes.
const (
	EmailMax = 254
	localMax = 64
	labelMax = 63
)

// isEmail tells whether a mail server could take this for an address: one name, one @, a domain of two labels or more.
// Quoted names, comments and address literals are refused; whether anybody reads there, only a mail can tell.
func isEmail(s string) bool {
	if len(s) > EmailMax || strings.ContainsAny(s, " \t\"(),:;<>[\\]") {
		return false
	}
	local, domain, ok := strings.Cut(s, "@")
	if !ok || local == "" || len(local) > localMax || strings.Contains(domain, "@") {
		return false
	}
	if local[0] == '.' || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return false
	}
	return isDomain(domain)
}

func isDomain(domain string) bool {
	labels := strings.Split(domain, ".")
	for _, label := range labels {
		if label == "" || len(label) > labelMax || label[0] == '-' || strings.HasSuffix(label, "-") {
			return false
		}
	}
	return len(labels) > 1
}
