package notifications_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	ordersv1 "github.com/seed-21071466/souk/gen/souk/orders/v1"
	"github.com/seed-21071466/souk/kit/bus"
	"github.com/seed-21071466/souk/kit/room"
	"github.com/seed-21071466/souk/services/notifications"
)

// BenchmarkMailsToNobody is what one event costs whose subject has no mail address, as nearly all of a replay: from the log
// of orders through the consumer, the question to users over rpc and the sender's transaction to skipped. The processor's
// time is that of the whole process.
func BenchmarkMailsToNobody(b *testing.B) {
	h := open(b, b.TempDir(), notifications.Config{})
	h.close() // the consumers know where they begin
	for i := range 4_300 {
		h.users.know(fmt.Sprint("sub_", i), "", "")
	}
	sayConfirmed(b, h)
	h.fair = true
	before := processor(b)
	b.ResetTimer()
	h.open()
	h.settle()
	h.until("an empty queue", func() bool { return h.pending() == 0 })
	b.StopTimer()
	b.ReportMetric(float64((processor(b)-before).Nanoseconds())/float64(b.N)/1e3, "cpu-µs/op")
	if n := h.counted("souk_notifications_mails_total skipped"); n != b.N {
		b.Errorf("%d of %d mails were skipped", n, b.N)
	}
}

// sayConfirmed writes the log of orders while nobody listens.
func sayConfirmed(b *testing.B, h *house) {
	orders := &talker{name: "orders", fair: true}
	rooms, err := room.Open(context.Background(), room.Shared{Shop: "shop", Dir: h.dir, Bus: bus.New(bus.Options{})}, orders.room())
	must(b, err)
	items := make([]*ordersv1.Item, 20)
	for i := range items {
		items[i] = &ordersv1.Item{Sku: fmt.Sprint("SKU", i), Quantity: 3, Line: int32(i + 1)}
	}
	for n := 0; n < b.N; {
		var batch []proto.Message
		for ; n < b.N && len(batch) < 256; n++ {
			batch = append(batch, &ordersv1.OrderConfirmed{
				OrderId: fmt.Sprintf("ord_01JD2Q%020d", n), SubjectId: fmt.Sprint("sub_", n*7919%4_300), Total: pounds("12.34"), Items: items,
			})
		}
		orders.say(b, time.Now(), fmt.Sprint("ord_", n), batch...)
	}
	must(b, rooms.Close(context.Background()))
}

// processor is the time that this process has worked.
func processor(b *testing.B) time.Duration {
	var u syscall.Rusage
	must(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (h *house) counted(metric string) int { return int(h.scrape()[metric]) }

func (h *house) pending() int { return h.counted("souk_notifications_pending mail") }
