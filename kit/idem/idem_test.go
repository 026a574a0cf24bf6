package idem_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-21071466/souk/kit/idem"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/sqlstore"
	"github.com/seed-21071466/souk/kit/sqlstore/sqlstoretest"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *sqlstore.Store {
	t.Helper()
	store, err := sqlstoretest.Open(t.Context(), filepath.Join(t.TempDir(), "idem.db"),
		sqlstore.Options{Schemas: []sqlstore.Schema{idem.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func keyOf(key, body string) idem.Key {
	return idem.Key{Shop: "main", Principal: "bearer:crt_1", Method: "Place", Key: key, Digest: sha256.Sum256([]byte(body))}
}

func claim(t *testing.T, store *sqlstore.Store, k idem.Key, ref string) (state idem.State, err error) {
	t.Helper()
	err = store.Update(t.Context(), func(tx sqlstore.Tx) error {
		state, err = idem.Claim(tx, k, ref, day)
		return err
	})
	return state, err
}

func TestSecondClaimTellsWhatTheFirstWasBoundTo(t *testing.T) {
	store := open(t)
	first, err := claim(t, store, keyOf("k", "body"), "ord_1")
	if err != nil || !first.Fresh || first.Ref != "ord_1" {
		t.Fatalf("first claim: %+v, %v", first, err)
	}
	second, err := claim(t, store, keyOf("k", "body"), "ord_2")
	if err != nil || second.Fresh || second.Done || second.Ref != "ord_1" {
		t.Errorf("second claim: %+v, %v", second, err)
	}
}

func TestKeysOfOthersAreOtherKeys(t *testing.T) {
	store := open(t)
	k := keyOf("k", "body")
	for _, other := range []func(*idem.Key){
		func(*idem.Key) {},
		func(k *idem.Key) { k.Shop = "branch" },
		func(k *idem.Key) { k.Principal = "bearer:crt_2" },
		func(k *idem.Key) { k.Method = "Capture" },
		func(k *idem.Key) { k.Key = "l" },
	} {
		k := k
		other(&k)
		if state, err := claim(t, store, k, "ord_1"); err != nil || !state.Fresh {
			t.Errorf("claim %+v: %+v, %v", k, state, err)
		}
	}
}

func TestAnotherBodyIsRefused(t *testing.T) {
	store := open(t)
	if _, err := claim(t, store, keyOf("k", "body"), "ord_1"); err != nil {
		t.Fatal(err)
	}
	_, err := claim(t, store, keyOf("k", "another body"), "ord_2")
	if !problem.Is(err, "idempotency_key_reused") || problem.Of(err).Kind.HTTP() != 422 {
		t.Errorf("got %v", err)
	}
}

func TestUnusableKeysAreRefused(t *testing.T) {
	store := open(t)
	for _, key := range []string{"", string(make([]byte, idem.KeyMax+1))} {
		if _, err := claim(t, store, keyOf(key, "body"), "ord_1"); !problem.Is(err, "idempotency_key_invalid") {
			t.Errorf("a key of %d characters: %v", len(key), err)
		}
	}
}

func TestClaimOfAnUndoneTransactionLeavesNothing(t *testing.T) {
	store := open(t)
	refused := errors.New("sold out")
	err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
		if _, err := idem.Claim(tx, keyOf("k", "body"), "ord_1", day); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatal(err)
	}
	if state, err := claim(t, store, keyOf("k", "body"), "ord_2"); err != nil || !state.Fresh {
		t.Errorf("claim after an undone one: %+v, %v", state, err)
	}
}

func TestAnswerIsReplayedAndNeverChanges(t *testing.T) {
	store := open(t)
	if _, err := claim(t, store, keyOf("k", "body"), "ord_1"); err != nil {
		t.Fatal(err)
	}
	for _, answer := range []string{`{"order": "ord_1"}`, "another"} {
		err := store.Update(t.Context(), func(tx sqlstore.Tx) error { return idem.Answer(tx, "Place", "ord_1", []byte(answer)) })
		if err != nil {
			t.Fatal(err)
		}
	}
	state, err := claim(t, store, keyOf("k", "body"), "ord_2")
	if err != nil || !state.Done || string(state.Answer) != `{"order": "ord_1"}` {
		t.Errorf("replay: %+v, %v", state, err)
	}
}

func TestOneOfManyConcurrentClaimsIsFresh(t *testing.T) {
	store := open(t)
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		wg.Go(func() {
			state, err := claim(t, store, keyOf("k", "body"), fmt.Sprintf("ord_%d", i))
			if err != nil {
				t.Error(err)
			}
			if state.Fresh {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() != 1 {
		t.Errorf("%d claims were fresh", fresh.Load())
	}
}

func TestSweepForgetsTheOldestUpToItsLimit(t *testing.T) {
	store := open(t)
	err := store.Update(t.Context(), func(tx sqlstore.Tx) error {
		for i := range 5 {
			if _, err := idem.Claim(tx, keyOf(fmt.Sprint(i), "body"), "ord", day.Add(time.Duration(i)*time.Hour)); err != nil {
				return err
			}
		}
		for _, want := range []int64{2, 1, 0} { // claims 0 and 1, claim 2, none
			swept, err := idem.Sweep(tx, day.Add(3*time.Hour), 2)
			if err != nil || swept != want {
				return fmt.Errorf("swept %d, not %d: %w", swept, want, err)
			}
		}
		if _, found, err := idem.Find(tx, keyOf("3", "body")); !found || err != nil {
			return fmt.Errorf("key 3 is gone: %w", err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A command that is heard twice has one effect, and both calls get the same answer.
func Example() {
	dir, _ := os.MkdirTemp("", "idem")
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, filepath.Join(dir, "library.db"), sqlstore.Options{Schemas: []sqlstore.Schema{idem.Schema()}})
	if err != nil {
		panic(err)
	}
	defer store.Close()
	key := idem.Key{Shop: "main", Principal: "bearer:card_7", Method: "Lend", Key: "k1", Digest: sha256.Sum256([]byte("book_1"))}
	lend := func(tx sqlstore.Tx) error {
		state, err := idem.Claim(tx, key, "loan_1", day)
		if err != nil || state.Done {
			fmt.Printf("again: %s\n", state.Answer)
			return err
		}
		fmt.Println("lent") // the effect
		return idem.Answer(tx, key.Method, state.Ref, []byte("loan_1 until Monday"))
	}
	for range 2 {
		if err := store.Update(ctx, lend); err != nil {
			panic(err)
		}
	}
	// Output:
	// lent
	// again: loan_1 until Monday
}
