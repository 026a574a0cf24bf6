package runs

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/seed-21071466/souk/cmd/souk/client"
)

const lettersPath = "/api/letters/"

type letter struct {
	ID       string    `json:"id"`
	Consumer string    `json:"consumer"`
	Source   string    `json:"source"`
	Position int64     `json:"position"`
	Type     string    `json:"type"`
	Subject  string    `json:"subject"`
	Time     time.Time `json:"time"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Reason   string    `json:"reason"`
}

// LettersCmd is `souk runs letters`.
type LettersCmd struct {
	Consumer string `help:"Only this consumer's, such as inventory.orders." placeholder:"NAME"`
	After    int64  `help:"Only those after this position of their source."`
	JSON     bool   `name:"json" help:"Print JSON for tools."`
}

// Run lists letters: of one consumer, or the first page of each.
func (c *LettersCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	asked := url.Values{"limit": {strconv.Itoa(pageRows)}, "after": {strconv.FormatInt(c.After, 10)}}
	if c.Consumer != "" {
		asked.Set("consumer", c.Consumer)
	}
	var answer struct {
		Letters []letter `json:"letters"`
	}
	if err := shop.Get(ctx, lettersPath, asked, &answer); err != nil {
		return err
	}
	if c.JSON {
		return encode(out, answer)
	}
	if len(answer.Letters) == 0 {
		_, err := fmt.Fprintln(out, "There is no letter: every event has been handled or is on its way.")
		return err
	}
	return printLetters(out, answer.Letters)
}

func printLetters(out io.Writer, letters []letter) error {
	t := newTable(out, "LETTER", "SUBJECT", "EVENT", "SINCE", "ATTEMPTS", "REASON")
	inFull := map[string]int{}
	for _, l := range letters {
		attempts, reason := strconv.Itoa(l.Attempts), clip(l.Reason)
		if l.Attempts == 0 {
			attempts, reason = "–", "waits behind another of its subject"
		}
		t.row(l.ID, l.Subject, l.Type, moment(l.Since), attempts, reason)
		inFull[l.Consumer]++
		if inFull[l.Consumer] == pageRows {
			t.note(fmt.Sprintf("… and perhaps more of %s: --consumer %s --after %d", l.Consumer, l.Consumer, l.Position))
		}
	}
	return t.flush()
}

// RedriveCmd is `souk runs redrive`.
type RedriveCmd struct {
	ID     string `arg:"" help:"A letter, such as inventory.orders:17, or a consumer for all of its letters."`
	Reason string `help:"Why; it is kept with the act."`
	JSON   bool   `name:"json" help:"Print JSON for tools."`
}

// Run redrives; that letters failed again is told, and no error.
func (c *RedriveCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	var done struct {
		Handled int    `json:"handled"`
		Left    int    `json:"left"`
		Failed  string `json:"failed"`
		Reason  string `json:"reason"`
	}
	if err := shop.Post(ctx, letterPath(c.ID, "redrive"), because(c.Reason), nil, &done); err != nil {
		return err
	}
	if c.JSON {
		return encode(out, done)
	}
	_, err := fmt.Fprintf(out, "%d handled, %d left.\n", done.Handled, done.Left)
	if err == nil && done.Failed != "" {
		_, err = fmt.Fprintf(out, "%s failed again: %s\n", done.Failed, done.Reason)
	}
	return err
}

// SkipLetterCmd is `souk runs skip-letter`.
type SkipLetterCmd struct {
	ID     string `arg:"" help:"The letter, such as inventory.orders:17."`
	Reason string `help:"Why its effect is never to happen; it is kept with the act." required:""`
}

// Run skips a letter.
func (c *SkipLetterCmd) Run(ctx context.Context, shop *client.Client, out io.Writer) error {
	if err := shop.Post(ctx, letterPath(c.ID, "skip"), because(c.Reason), nil, nil); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s is skipped: its effect never happens.\n", c.ID)
	return err
}

func letterPath(id, action string) string {
	return lettersPath + url.PathEscape(id) + "/" + action
}

func because(reason string) url.Values {
	if reason == "" {
		return nil
	}
	return url.Values{"reason": {reason}}
}
