package wire

import (
	"context"

	"google.golang.org/grpc"

	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/services/notifications/app"
)

// People asks the users room.
type People struct{ client usersv1.UsersClient }

// NewPeople asks users over a connection.
func NewPeople(conn grpc.ClientConnInterface) People { return People{usersv1.NewUsersClient(conn)} }

// Contact reads how to reach a subject now.
func (p People) Contact(ctx context.Context, subject string) (app.Contact, error) {
	card, err := p.client.GetContact(ctx, &usersv1.GetContactRequest{SubjectId: subject})
	if refused := problem.Of(err); refused != nil && refused.Kind == problem.NotFound {
		return app.Contact{}, app.ErrNobody
	}
	if err != nil {
		return app.Contact{}, err
	}
	return app.Contact{Name: card.Name, Email: card.Email}, nil
}
