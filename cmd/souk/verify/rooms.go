package verify

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
	"github.com/seed-21071466/souk/kit/clock"
)

// roomNames are the rooms that answer an audit, each after those whose events it follows, so that most consumers are
// seen past the watermark at once. Orders, inventory and shipping follow each other; orders takes longest to ask again.
var roomNames = []string{"users", "pricing", "payments", "shipping", "inventory", "orders", "carts", "catalog", "notifications"}

// room is what a room says of itself.
type room struct {
	Findings  []Finding  `json:"findings"`
	Checked   int        `json:"checked"`
	Truncated bool       `json:"truncated"`
	Head      int64      `json:"head,string"`
	Consumers []consumer `json:"consumers"`
	Next      string     `json:"next_page_token"`
}

type consumer struct {
	Consumer string `json:"consumer"`
	Source   string `json:"source"`
	Position int64  `json:"position,string"`
	Letters  int    `json:"letters"`
}

// ask has rooms check their own rows, one after the other; one that is not here is left out.
func (a *audit) ask(names ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, name := range names {
			a.options.Progress("findings of "+name, 0)
			r, err := a.askRoom(ctx, name)
			if err != nil && !client.Absent(err) {
				return err
			}
			if err == nil {
				a.mu.Lock()
				a.rooms[name] = r
				a.mu.Unlock()
			}
		}
		return nil
	}
}

// askRoom reads all pages; the head and the consumers are those of the first, which is where the check began.
func (a *audit) askRoom(ctx context.Context, name string) (*room, error) {
	all := new(room)
	if err := a.shop.Get(ctx, "/api/audit/"+name, nil, all); err != nil {
		return nil, err
	}
	for next := all.Next; next != ""; {
		page := new(room)
		if err := a.shop.Get(ctx, "/api/audit/"+name, url.Values{"page_token": {next}}, page); err != nil {
			return nil, err
		}
		all.Findings = append(all.Findings, page.Findings...)
		all.Checked += page.Checked
		all.Truncated = all.Truncated || page.Truncated
		next = page.Next
		a.options.Progress("findings of "+name, all.Checked)
	}
	return all, nil
}

// askHead reads the first page only, which says where the room and its consumers stand.
func (a *audit) askHead(ctx context.Context, name string) (*room, error) {
	r := new(room)
	return r, a.shop.Get(ctx, "/api/audit/"+name, nil, r)
}

func (a *audit) here(name string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rooms[name] != nil
}

// lookAtRoom takes what a room found; what it found once it is asked about again.
func (a *audit) lookAtRoom(name string) look {
	return func(ctx context.Context, suspected []Finding) ([]Finding, error) {
		r := a.rooms[name]
		if suspected != nil {
			var err error
			if r, err = a.askRoom(ctx, name); err != nil {
				return nil, err
			}
		} else if r.Truncated {
			a.waiting = append(a.waiting, Note{name, "the room found more broken rows than it listed"})
		}
		found := slices.Clone(r.Findings)
		for i := range found {
			if g := found[i].Guarantee; g < 1 || g >= len(names) {
				return nil, fmt.Errorf("room %s speaks of guarantee %d, which is not known here", name, g)
			}
		}
		return found, nil
	}
}

// awaitConsumers waits until every consumer has passed the head that its source had when it was read: the watermark.
func (a *audit) awaitConsumers(ctx context.Context) error {
	if a.heads == nil {
		a.heads = map[string]int64{}
		for name, r := range a.rooms {
			a.heads[name] = r.Head
		}
	}
	for deadline := time.Now().Add(catchUp); ; {
		behind := a.behind()
		if len(behind) == 0 || !time.Now().Before(deadline) {
			return nil
		}
		a.options.Progress("waiting for consumers", len(behind))
		if err := clock.Sleep(ctx, poll); err != nil {
			return err
		}
		if err := a.askAgain(ctx, behind); err != nil {
			return err
		}
	}
}

// newWatermark moves the watermark behind all orders and shipments that have been read, and waits until they are heard of.
func (a *audit) newWatermark(ctx context.Context) error {
	for _, name := range []string{"orders", "shipping"} {
		if !a.here(name) {
			continue
		}
		r, err := a.askHead(ctx, name)
		if err != nil {
			return err
		}
		a.heads[name] = r.Head
	}
	return a.awaitConsumers(ctx)
}

// behind are the consumers short of the watermark, by the room they belong to.
func (a *audit) behind() map[string][]consumer {
	late := map[string][]consumer{}
	for name, r := range a.rooms {
		for _, c := range r.Consumers {
			if head, known := a.heads[c.Source]; known && c.Position < head {
				late[name] = append(late[name], c)
			}
		}
	}
	return late
}

// askAgain asks the rooms of late consumers where they stand now; what they found at first is kept.
func (a *audit) askAgain(ctx context.Context, behind map[string][]consumer) error {
	for name := range behind {
		r, err := a.askHead(ctx, name)
		if err != nil {
			return err
		}
		a.rooms[name].Consumers = r.Consumers
	}
	return nil
}

// lookAtConsumers tells of consumers that did not reach the watermark.
func (a *audit) lookAtConsumers(ctx context.Context, suspected []Finding) (found []Finding, err error) {
	behind := a.behind()
	if suspected != nil {
		if err := a.askAgain(ctx, behind); err != nil {
			return nil, err
		}
		behind = a.behind()
	}
	for _, late := range behind {
		for _, c := range late {
			found = append(found, Finding{6, "consumer_reaches_its_sources_head", c.Consumer, fmt.Sprintf(
				"stands at %d of %s, whose head was %d", c.Position, c.Source, a.heads[c.Source])})
		}
	}
	return found, nil
}

func (a *audit) checkedConsumers() (Mark, string) {
	consumers, letters := 0, 0
	var sources []string
	for _, name := range roomNames {
		if a.rooms[name] == nil {
			continue
		}
		for _, c := range a.rooms[name].Consumers {
			head, known := a.heads[c.Source]
			if !known {
				return Unchecked, fmt.Sprintf("%s follows %s, which is not here", c.Consumer, c.Source)
			}
			consumers++
			letters += c.Letters
			if source := c.Source + " " + thousands(int(head)); !slices.Contains(sources, source) {
				sources = append(sources, source)
			}
		}
	}
	if consumers == 0 {
		return Holds, "no room consumes events"
	}
	return Holds, fmt.Sprintf("%s past the heads of %s; %s waiting", count(consumers, "consumer"), strings.Join(sources, ", "), count(letters, "letter"))
}

const (
	lettersPath = "/api/letters/"
	lettersMax  = 10_000 // letters that are read of one consumer
	lettersPage = 200
	lettersTold = 20 // of a consumer; the rest are counted
)

type letterPage struct {
	Letters []struct {
		ID       string `json:"id"`
		Position int64  `json:"position"`
		Subject  string `json:"subject"`
		Attempts int    `json:"attempts"`
		Reason   string `json:"reason"`
	} `json:"letters"`
}

// readLetters reads the letters of the consumers that have some.
func (a *audit) readLetters(ctx context.Context) error {
	for _, name := range roomNames {
		if a.rooms[name] == nil {
			continue
		}
		for _, c := range a.rooms[name].Consumers {
			if c.Letters == 0 {
				continue
			}
			if err := a.readLettersOf(ctx, name, c); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *audit) readLettersOf(ctx context.Context, name string, c consumer) error {
	read := 0
	for after := int64(0); read < lettersMax; {
		var page letterPage
		asked := url.Values{"consumer": {c.Consumer}, "limit": {strconv.Itoa(lettersPage)}, "after": {strconv.FormatInt(after, 10)}}
		if err := a.shop.Get(ctx, lettersPath, asked, &page); err != nil {
			return err
		}
		for _, l := range page.Letters {
			a.letters[name+"<"+c.Source+" "+l.Subject] = l.ID
			if read < lettersTold && l.Attempts > 0 {
				a.waiting = append(a.waiting, Note{"letter " + l.ID, "of " + l.Subject + ": " + l.Reason})
			}
			after = l.Position
			read++
		}
		if len(page.Letters) < lettersPage {
			break
		}
	}
	a.waiting = append(a.waiting, Note{c.Consumer, count(read, "letter") + " waiting: souk runs letters"})
	return nil
}
