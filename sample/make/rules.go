package main

import (
	"regexp"
	"strconv"
	"strings"
)

// titled tells a product's name, which is in capitals, from a clerk's note
// such as "damaged" or "?".
func titled(description string) bool {
	return strings.ContainsFunc(description, func(r rune) bool { return r >= 'A' && r <= 'Z' }) &&
		strings.ToUpper(description) == strings.ReplaceAll(description, "g ", "G ")
}

// abbreviations are written out, in the order given.
var abbreviations = strings.NewReplacer("SET/", "SET OF ", "S/", "SET OF ", " W ", " WITH ", " , ", ", ")

// small words stay small within a title.
var small = map[string]bool{"of": true, "and": true, "in": true, "with": true, "the": true, "for": true, "or": true, "a": true, "on": true, "to": true}

// titleOf makes "RED RETROSPOT  CAKE STAND." read "Red Retrospot Cake Stand".
func titleOf(description string) string {
	words := strings.Fields(strings.ToLower(abbreviations.Replace(description)))
	for i, word := range words {
		if i == 0 || !small[word] {
			words[i] = capital(word)
		}
	}
	return strings.Trim(strings.Join(words, " "), " .,")
}

// capital raises the first letter of a word and of each part behind a hyphen
// or stroke; what begins with a digit, such as "125g" or "50's", stays.
func capital(word string) string {
	raise := true
	return strings.Map(func(r rune) rune {
		up := raise && r >= 'a' && r <= 'z'
		raise = r == '-' || r == '/' || r == '&' || r == '('
		if up {
			return r - 'a' + 'A'
		}
		return r
	}, word)
}

// The lines cover eight months; a shop keeps about one month's sales.
const (
	months   = 8
	stockMin = 20
)

// stockOf invents a plausible figure from what was sold.
func stockOf(pieces int) int { return max(stockMin, pieces/months) }

// kind is what a word in a description says of weight and shelf. The first
// kind whose word stands in it counts.
type kind struct {
	word     string
	grams    int
	category string
}

var kinds = []kind{
	{"TEA BAG", 100, "Kitchen & Dining > Tableware"},
	{"TEACUP", 300, "Kitchen & Dining > Mugs & Cups"},
	{"PICNIC BASKET", 900, "Garden"},
	{"BAG 250G", 260, "Toys & Games"},
	{"DRAWERKNOB", 80, "Home > Knobs & Hooks"},
	{"NIGHTLIGHT", 200, "Lights & Candles > Lights"},
	{"CHOCOLATECANDLE", 200, "Lights & Candles > Candles"},
	{"INCENSE", 60, "Home > Comfort"},
	{"HOTTIE", 600, "Home > Comfort"},
	{"POCKET WARMER", 80, "Home > Comfort"},
	{"LIP GLOSS", 30, "Accessories"},
	{"BUBBLEGUM RING", 20, "Accessories"},
	{"PONCHO", 100, "Accessories"},
	{"SOMBRERO", 150, "Accessories"},
	{"MAGNET", 40, "Kitchen & Dining > Tools"},
	{"FRYING PAN", 700, "Kitchen & Dining > Tools"},
	{"STATIONERY", 150, "Stationery"},
	{"MEMO", 400, "Stationery"},
	{"CRAYONS", 80, "Toys & Games"},
	{"MODELLING", 300, "Toys & Games"},
	{"COLOURING SET", 200, "Toys & Games"},
	{"DOMINOES", 200, "Toys & Games"},
	{"SPINNING", 150, "Toys & Games"},
	{"GLIDERS", 60, "Toys & Games"},
	{"CRAWLIES", 60, "Toys & Games"},
	{"PAINT SET", 100, "Toys & Games"},
	{"WINDMILL", 100, "Garden"},
	{"GIFT TAGS", 40, "Paper & Party > Gift Wrap"},
	{"RIBBONS", 60, "Paper & Party > Gift Wrap"},
	{"STRAWS", 40, "Paper & Party > Tableware"},
	{"CHRISTMAS", 80, "Seasonal > Christmas"},
	{"EASTER", 80, "Seasonal > Easter"},
	{"VALENTINE", 120, "Seasonal > Valentine"},
	{"NIGHT LIGHT", 90, "Lights & Candles > Lights"},
	{"LANTERN", 450, "Lights & Candles > Lanterns"},
	{"T-LIGHT HOLDER", 180, "Lights & Candles > Candle Holders"},
	{"T-LIGHT", 150, "Lights & Candles > Candle Holders"},
	{"CANDLE", 200, "Lights & Candles > Candles"},
	{"LIGHT", 200, "Lights & Candles > Lights"},
	{"CASES", 60, "Kitchen & Dining > Baking"},
	{"BAKING", 500, "Kitchen & Dining > Baking"},
	{"CAKE TIN", 700, "Kitchen & Dining > Storage"},
	{"CAKESTAND", 900, "Kitchen & Dining > Baking"},
	{"CAKE STAND", 900, "Kitchen & Dining > Baking"},
	{"COOKIE", 90, "Kitchen & Dining > Baking"},
	{"LUNCH BAG", 130, "Bags & Travel > Lunch Bags"},
	{"LUNCH BOX", 250, "Bags & Travel > Lunch Bags"},
	{"JUMBO", 180, "Bags & Travel > Shoppers"},
	{"SHOPPER", 120, "Bags & Travel > Shoppers"},
	{"BAG 125G", 140, "Toys & Games"},
	{"HOT WATER BOTTLE", 600, "Home > Comfort"},
	{"BAG", 120, "Bags & Travel > Bags"},
	{"CARD WALLET", 30, "Bags & Travel > Wallets & Purses"},
	{"WALLET", 60, "Bags & Travel > Wallets & Purses"},
	{"PURSE", 60, "Bags & Travel > Wallets & Purses"},
	{"LUGGAGE", 40, "Bags & Travel > Luggage"},
	{"CARD HOLDER", 300, "Home > Decoration"},
	{"WRAP", 40, "Paper & Party > Gift Wrap"},
	{"CARD", 30, "Paper & Party > Cards"},
	{"NAPKIN", 120, "Paper & Party > Tableware"},
	{"PAPER PLATE", 120, "Paper & Party > Tableware"},
	{"PAPER CUP", 60, "Paper & Party > Tableware"},
	{"DOILIES", 90, "Paper & Party > Tableware"},
	{"TISSUE", 40, "Paper & Party > Tissues"},
	{"BUNTING", 200, "Paper & Party > Decorations"},
	{"GARLAND", 120, "Paper & Party > Decorations"},
	{"BALLOON", 60, "Paper & Party > Decorations"},
	{"PAPER CHAIN", 150, "Paper & Party > Decorations"},
	{"PARTY", 80, "Paper & Party > Decorations"},
	{"PENCIL", 80, "Stationery"},
	{"PEN", 40, "Stationery"},
	{"NOTEBOOK", 180, "Stationery"},
	{"NOTES", 90, "Stationery"},
	{"SKETCHBOOK", 250, "Stationery"},
	{"ERASER", 40, "Stationery"},
	{"RULER", 40, "Stationery"},
	{"STICKER", 30, "Stationery"},
	{"CHALK", 150, "Toys & Games"},
	{"SLATE", 250, "Toys & Games"},
	{"JIGSAW", 300, "Toys & Games"},
	{"PUZZLE", 300, "Toys & Games"},
	{"SNAP", 150, "Toys & Games"},
	{"GAME", 350, "Toys & Games"},
	{"DOLL", 250, "Toys & Games"},
	{"SKIPPING", 150, "Toys & Games"},
	{"TOY", 200, "Toys & Games"},
	{"KNITTING", 120, "Crafts"},
	{"FELTCRAFT", 150, "Crafts"},
	{"CRAFT", 200, "Crafts"},
	{"SEWING", 350, "Crafts"},
	{"JAM", 150, "Kitchen & Dining > Baking"},
	{"MUG", 350, "Kitchen & Dining > Mugs & Cups"},
	{"CUP", 300, "Kitchen & Dining > Mugs & Cups"},
	{"BEAKER", 250, "Kitchen & Dining > Mugs & Cups"},
	{"TUMBLER", 250, "Kitchen & Dining > Mugs & Cups"},
	{"GLASS", 250, "Kitchen & Dining > Glass"},
	{"TEAPOT", 900, "Kitchen & Dining > Tableware"},
	{"PLATE", 350, "Kitchen & Dining > Tableware"},
	{"BOWL", 350, "Kitchen & Dining > Tableware"},
	{"JUG", 500, "Kitchen & Dining > Tableware"},
	{"CUTLERY", 250, "Kitchen & Dining > Tableware"},
	{"COASTER", 150, "Kitchen & Dining > Tableware"},
	{"TRAY", 500, "Kitchen & Dining > Tableware"},
	{"TEA TOWEL", 120, "Kitchen & Dining > Linen"},
	{"TOWEL", 200, "Kitchen & Dining > Linen"},
	{"APRON", 250, "Kitchen & Dining > Linen"},
	{"OVEN GLOVE", 200, "Kitchen & Dining > Linen"},
	{"TINS", 600, "Kitchen & Dining > Storage"},
	{"JAR", 450, "Kitchen & Dining > Storage"},
	{"STORAGE", 500, "Kitchen & Dining > Storage"},
	{"PANTRY", 200, "Kitchen & Dining > Tools"},
	{"SPOON", 120, "Kitchen & Dining > Tools"},
	{"SCALES", 1500, "Kitchen & Dining > Tools"},
	{"RECIPE", 400, "Kitchen & Dining > Tools"},
	{"PLASTERS", 60, "Home > Comfort"},
	{"CUSHION", 450, "Home > Comfort"},
	{"HAND WARMER", 80, "Home > Comfort"},
	{"DOORMAT", 1800, "Home > Doormats"},
	{"SIGN", 300, "Home > Signs"},
	{"CLOCK", 450, "Home > Clocks"},
	{"FRAME", 350, "Home > Frames"},
	{"MIRROR", 600, "Home > Decoration"},
	{"KNOB", 80, "Home > Knobs & Hooks"},
	{"HOOK", 150, "Home > Knobs & Hooks"},
	{"HANGER", 150, "Home > Knobs & Hooks"},
	{"DRAWER", 900, "Home > Furniture"},
	{"CABINET", 2500, "Home > Furniture"},
	{"TRINKET", 200, "Home > Boxes"},
	{"BOX", 300, "Home > Boxes"},
	{"TIN", 200, "Home > Boxes"},
	{"BASKET", 400, "Home > Boxes"},
	{"MONEY BANK", 300, "Home > Boxes"},
	{"HERB", 60, "Garden"},
	{"GARDEN", 300, "Garden"},
	{"WATERING", 500, "Garden"},
	{"PLANT", 250, "Garden"},
	{"PICNIC", 900, "Garden"},
	{"UMBRELLA", 500, "Bags & Travel > Umbrellas"},
	{"PARASOL", 300, "Paper & Party > Decorations"},
	{"FAN", 60, "Accessories"},
	{"NECKLACE", 50, "Accessories"},
	{"BRACELET", 40, "Accessories"},
	{"HAIR", 40, "Accessories"},
	{"KEY", 60, "Accessories"},
	{"HEART", 120, "Home > Decoration"},
	{"DECORATION", 80, "Home > Decoration"},
}

// otherwise is what a description says that names no kind.
var otherwise = kind{"", 250, "Home > Decoration"}

func kindOf(description string) kind {
	description = " " + strings.Join(strings.Fields(description), " ")
	for _, k := range kinds {
		if strings.Contains(description, " "+k.word) {
			return k
		}
	}
	return otherwise
}

func categoryOf(description string) string { return kindOf(description).category }

// several matches how many pieces one sale unit holds: "SET OF 3", "PACK OF 12".
var several = regexp.MustCompile(`(?:SET|PACK|BOX|S) ?(?:OF |/)?([0-9]{1,2})\b`)

// severalMax is the largest set whose pieces weigh as much as one sold alone;
// the pieces of larger ones, such as pencils, are counted in the kind's weight.
const severalMax = 6

// weightOf is the kind's weight, taken as often as a small set has pieces.
func weightOf(description string) int {
	grams := kindOf(description).grams
	if found := several.FindStringSubmatch(description); found != nil {
		if pieces, err := strconv.Atoi(found[1]); err == nil && pieces > 1 && pieces <= severalMax {
			return grams * pieces
		}
	}
	return grams
}
