package port

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/seed-21071466/souk/kit/rpc/identity"
)

// AuthInfo is what gRPC knows of a connection of the GRPC half.
type AuthInfo struct {
	credentials.CommonAuthInfo
	Peer identity.Peer
}

// AuthType names how the peer was found out.
func (AuthInfo) AuthType() string { return "souk" }

// Credentials let a gRPC server know the peers of the connections that it is handed; the handshake is over by then.
func Credentials() credentials.TransportCredentials { return handshaken{} }

type handshaken struct{}

func (handshaken) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	known, ok := conn.(*Conn)
	if !ok {
		return nil, nil, errors.New("port: the connection is not of a shared listener")
	}
	level := credentials.NoSecurity
	if known.peer.Verified {
		level = credentials.PrivacyAndIntegrity
	}
	return conn, AuthInfo{credentials.CommonAuthInfo{SecurityLevel: level}, known.peer}, nil
}

func (handshaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("port: these credentials are a server's")
}

func (handshaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "souk"}
}

func (h handshaken) Clone() credentials.TransportCredentials { return h }

func (handshaken) OverrideServerName(string) error { return nil }
