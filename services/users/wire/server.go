// Package wire carries users over the network.
package wire

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	typev1 "github.com/seed-21071466/souk/gen/souk/type/v1"
	usersv1 "github.com/seed-21071466/souk/gen/souk/users/v1"
	"github.com/seed-21071466/souk/kit/auth"
	"github.com/seed-21071466/souk/kit/problem"
	"github.com/seed-21071466/souk/kit/rest"
	"github.com/seed-21071466/souk/services/users/app"
	"github.com/seed-21071466/souk/services/users/contact"
)

// Server serves the contract of users.
type Server struct {
	usersv1.UnimplementedUsersServer
	Users *app.Users
}

// Serve registers the service and, where there is a mux, its REST routes over edge.
func (s *Server) Serve(ctx context.Context, r grpc.ServiceRegistrar, mux *rest.Mux, edge grpc.ClientConnInterface) error {
	usersv1.RegisterUsersServer(r, s)
	if mux == nil {
		return nil
	}
	return usersv1.RegisterUsersHandlerClient(ctx, mux.ServeMux(), usersv1.NewUsersClient(edge))
}

// PutContact records who and where.
func (s *Server) PutContact(ctx context.Context, req *usersv1.PutContactRequest) (*usersv1.Contact, error) {
	if req.Address == nil {
		return nil, problem.Field("address", "required", "is missing")
	}
	known, err := s.Users.PutContact(ctx, req.SubjectId, contact.Contact{Email: req.Email, Address: *readAddress(req.Address)})
	if err != nil {
		return nil, err
	}
	return told(known), nil
}

// PutUser makes a customer, or changes one.
func (s *Server) PutUser(ctx context.Context, req *usersv1.PutUserRequest) (*usersv1.Contact, error) {
	known, err := s.Users.PutUser(ctx, req.Id, contact.Customer{
		Name: req.Name, Email: req.Email, Address: readAddress(req.Address), Country: req.Country,
	})
	if err != nil {
		return nil, err
	}
	return told(known), nil
}

// ListUsers lists subjects by id.
func (s *Server) ListUsers(ctx context.Context, req *usersv1.ListUsersRequest) (*usersv1.ListUsersResponse, error) {
	page, next, err := s.Users.List(ctx, req.Email, int(req.PageSize), req.PageToken)
	if err != nil {
		return nil, err
	}
	list := make([]*usersv1.User, len(page))
	for i, subject := range page {
		list[i] = user(subject)
	}
	return &usersv1.ListUsersResponse{Users: list, NextPageToken: next}, nil
}

// GetContact reads how to reach a subject now.
func (s *Server) GetContact(ctx context.Context, req *usersv1.GetContactRequest) (*usersv1.ContactCard, error) {
	card, err := s.Users.Contact(ctx, req.SubjectId)
	if err != nil {
		return nil, err
	}
	return &usersv1.ContactCard{
		SubjectId: card.ID, Name: card.Name, Email: card.Email, AddressId: card.Address, Country: card.Country,
	}, nil
}

// readAddress is nil when there is none.
func readAddress(a *typev1.Address) *contact.Address {
	if a == nil {
		return nil
	}
	return &contact.Address{
		Name: a.Name, Lines: a.Lines, City: a.City, Region: a.Region, PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone,
	}
}

func told(known app.Known) *usersv1.Contact {
	return &usersv1.Contact{SubjectId: known.Subject, AddressId: known.Address, Country: known.Country}
}

func user(s app.Subject) *usersv1.User { return &usersv1.User{Id: s.ID, Name: s.Name, Email: s.Email} }

// GetAddress reads one address row.
func (s *Server) GetAddress(ctx context.Context, req *usersv1.GetAddressRequest) (*typev1.Address, error) {
	a, err := s.Users.Address(ctx, req.Id)
	if err != nil {
		return nil, err
	}
	return &typev1.Address{
		Name: a.Name, Lines: a.Lines, City: a.City, Region: a.Region, PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone,
	}, nil
}

// GetUser reads a subject.
func (s *Server) GetUser(ctx context.Context, req *usersv1.GetUserRequest) (*usersv1.User, error) {
	subject, err := s.Users.Get(ctx, auth.From(ctx), req.Id)
	if err != nil {
		return nil, err
	}
	return user(subject), nil
}

// EraseUser destroys a subject's name, mail and addresses.
func (s *Server) EraseUser(ctx context.Context, req *usersv1.EraseUserRequest) (*usersv1.EraseUserResponse, error) {
	addresses, err := s.Users.Erase(ctx, auth.From(ctx), req.Id)
	if err != nil {
		return nil, err
	}
	return &usersv1.EraseUserResponse{Addresses: int32(addresses)}, nil
}

// Findings checks the room's own rows.
func (s *Server) Findings(ctx context.Context, _ *typev1.FindingsRequest) (*typev1.FindingsResponse, error) {
	report, err := s.Users.Findings(ctx)
	if err != nil {
		return nil, fmt.Errorf("check the rows of users: %w", err)
	}
	answer := &typev1.FindingsResponse{
		Checked: int32(report.Checked), Truncated: report.Truncated, Findings: make([]*typev1.Finding, len(report.Findings)),
	}
	for i, f := range report.Findings {
		answer.Findings[i] = &typev1.Finding{Guarantee: int32(f.Guarantee), Rule: f.Rule, Subject: f.Subject, Message: f.Message}
	}
	return answer, nil
}
