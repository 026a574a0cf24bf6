package wire

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/seed-21071466/souk/gen/souk/catalog/v1"
	"github.com/seed-21071466/souk/kit/eventlog"
	"github.com/seed-21071466/souk/services/catalog/app"
)

// Publish is what a record of the catalog's log says in public.
func Publish(r eventlog.Recorded) (typ string, data []byte, err error) {
	if r.Type != app.EventChanged {
		return "", nil, nil
	}
	var changed app.Changed
	if err := json.Unmarshal(r.Data, &changed); err != nil {
		return "", nil, fmt.Errorf("read event %d of the catalog: %w", r.Position, err)
	}
	public := &catalogv1.ProductChanged{
		ProductId: changed.ProductID, Version: changed.Version, Status: changed.Status, Skus: changed.SKUs,
	}
	data, err = proto.Marshal(public)
	return string(public.ProtoReflect().Descriptor().FullName()), data, err
}
