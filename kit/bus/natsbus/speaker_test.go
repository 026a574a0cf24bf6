package natsbus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/bus/bustest"
	"github.com/seed-21071466/souk/kit/bus/natsbus"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/kit/sqlstore"
)

// speakerEnv makes this test binary a process that speaks: "<log>,<broker>,<shop>".
const speakerEnv = "SOUK_TEST_SPEAKER"

// speak is that process: a room that commits events, two at a time, and relays
// them, until it is killed.
func speak(order string) error {
	path, rest, _ := strings.Cut(order, ",")
	url, shop, _ := strings.Cut(rest, ",")
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, path, sqlstore.Options{Schemas: []sqlstore.Schema{eventlog.Schema()}})
	if err != nil {
		return err
	}
	log, err := eventlog.New(store)
	if err != nil {
		return err
	}
	broker, err := natsbus.Connect(ctx, url, natsbus.Options{Shop: shop})
	if err != nil {
		return err
	}
	broker.Relay(bus.FeedOf("talker", log, nil))
	fmt.Println("speaking")
	for n := 0; ; n++ {
		event := eventlog.Event{Type: bustest.Type, Schema: 1, Meta: eventlog.Meta{Time: time.Now()}}
		err := store.Update(ctx, func(tx sqlstore.Tx) error {
			_, err := log.Append(tx, fmt.Sprint("subject-", n%5), eventlog.Any, event, event)
			return err
		})
		if err != nil {
			return err
		}
	}
}

func TestASourceThatIsKilledBetweenItsCommitsAndTheirPublication(t *testing.T) {
	url, shop, path := embedded(t), newShop(), filepath.Join(t.TempDir(), "room.db")
	l := listen(t, connect(t, url, natsbus.Options{Shop: shop}), bus.FromStart)
	random := rand.New(rand.NewPCG(5, 5))
	for range 25 {
		speakAndDie(t, strings.Join([]string{path, url, shop}, ","), time.Duration(random.IntN(40))*time.Millisecond)
	}
	store := openStore(t, path, eventlog.Schema())
	log, err := eventlog.New(store)
	must(t, err)
	if log.Head() == 0 {
		t.Fatal("nothing was said")
	}
	feed := bus.FeedOf("talker", log, nil)
	broker := connect(t, url, natsbus.Options{Shop: shop})
	broker.Relay(feed)
	l.settles(log.Head())
	l.wants(1, log.Head())
	copies(t, url, shop, feed)
	broker.Close()
	must(t, store.Close())
}

// speakAndDie runs the speaker, and kills it some time after it began to speak.
func speakAndDie(t *testing.T, order string, after time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), speakerEnv+"="+order)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "speaking\n" {
		t.Errorf("the speaker says %q, %v", line, err)
	}
	time.Sleep(after)
	must(t, cmd.Process.Kill())
	var died *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &died) {
		t.Errorf("the speaker ended with %v", err)
	}
}
