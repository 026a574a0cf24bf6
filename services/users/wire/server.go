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
	a := req.Address
	if a == nil {
		return nil, problem.Field("address", "required", "is missing")
	}
	known, err := s.Users.PutContact(ctx, req.SubjectId, contact.Contact{Email: req.Email, Address: contact.Address{
		Name: a.Name, Lines: a.Lines, City: a.City, Region: a.Region, PostalCode: a.PostalCode, Country: a.Country, Phone: a.Phone,
	}})
	if err != nil {
		return nil, err
	}
	return &usersv1.Contact{SubjectId: known.Subject, AddressId: known.Address, Country: known.Country}, nil
}

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
	return &usersv1.User{Id: subject.ID, Name: subject.Name, Email: subject.Email}, nil
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
