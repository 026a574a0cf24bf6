package retail

import (
	"strings"
	"unicode"
)

// stockDigits is how many digits in a row make a stock code that of a product: 85123A,
// DCGS0003 and SP1002 are, and POST, C2, M, BANK CHARGES and gift_0001_20 are not.
const stockDigits = 4

// codeMax bounds a stock code, which becomes a product's id and SKU.
const codeMax = 64

// stockNumber says that a code, in capitals, has the shape of a product's: letters and
// digits alone, of them four digits in a row.
func stockNumber(code []byte) bool {
	run, longest := 0, 0
	for _, c := range code {
		switch {
		case c >= '0' && c <= '9':
			run++
			longest = max(longest, run)
		case c >= 'A' && c <= 'Z':
			run = 0
		default:
			return false
		}
	}
	return longest >= stockDigits && len(code) <= codeMax
}

// services are the words with which a description ends that tells of a service or of
// money. The last word decides: NEXT DAY CARRIAGE is a service, CARRIAGE CLOCK is not.
var services = map[string]bool{
	"POSTAGE": true, "CARRIAGE": true, "DELIVERY": true, "SHIPPING": true, "FREIGHT": true, "CHARGE": true, "CHARGES": true, "FEE": true,
	"FEES": true, "COMMISSION": true, "DISCOUNT": true, "VOUCHER": true, "VOUCHERS": true, "DEBT": true, "DONATION": true,
}

// service says that a description is that of a service or of money. An amount behind it,
// as in "Gift Voucher £20.00", is passed over.
func service(description string) bool {
	words := strings.FieldsFunc(strings.ToUpper(description), func(c rune) bool { return !unicode.IsLetter(c) })
	return len(words) > 0 && services[words[len(words)-1]]
}

const (
	titleMax     = 300 // characters of a title
	titleLetters = 3   // that a title has at least
)

// title is a description without needless blanks; "" when it is none, but a clerk's note
// such as "?", "damages" or "Given away": too few letters, or no capital but the first.
func title(description []byte) string {
	words := strings.Fields(strings.ToValidUTF8(string(description), ""))
	text := strings.Join(words, " ")
	letters, capitals := 0, 0
	for i, c := range text {
		if unicode.IsLetter(c) {
			letters++
		}
		if unicode.IsUpper(c) && i > 0 {
			capitals++
		}
	}
	if letters < titleLetters || capitals == 0 || len([]rune(text)) > titleMax {
		return ""
	}
	return text
}
