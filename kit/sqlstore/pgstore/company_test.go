package pgstore

import (
	"testing"
	"time"
)

func TestCompanyIsWhoeverSaysToBeThere(t *testing.T) {
	var c company
	c.unknown()
	if !c.any() {
		t.Error("who does not listen takes itself to be alone")
	}
	c.until.Store(time.Now().Add(-time.Second).UnixNano())
	if c.any() {
		t.Error("nobody was heard for long, and somebody is thought to be there")
	}
	if !c.greeted(hello+"me", "me") || c.any() {
		t.Error("it heard itself and takes that for company")
	}
	if c.greeted("17", "me") {
		t.Error("news are taken for a greeting")
	}
	if !c.greeted(hello+"you", "me") || !c.any() {
		t.Error("it has heard another and takes itself to be alone")
	}
}
