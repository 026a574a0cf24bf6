package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// packages are the plugins, at the versions that tools/go.mod pins.
var packages = []string{
	"google.golang.org/protobuf/cmd/protoc-gen-go",
	"google.golang.org/grpc/cmd/protoc-gen-go-grpc",
	"github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-grpc-gateway",
	"github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3",
}

// plugins is a temporary folder with the built plugins.
type plugins struct{ dir string }

func buildPlugins(ctx context.Context, tools string) (*plugins, error) {
	dir, err := os.MkdirTemp("", "souk-gen-")
	if err != nil {
		return nil, fmt.Errorf("build plugins: %w", err)
	}
	p := &plugins{dir}
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-o", dir + string(filepath.Separator)}, packages...)...)
	build.Dir = tools
	if said, err := build.CombinedOutput(); err != nil {
		p.remove()
		return nil, fmt.Errorf("build plugins: %w\n%s", err, said)
	}
	return p, nil
}

func (p *plugins) remove() { os.RemoveAll(p.dir) }

// code runs the three plugins that write Go.
func (p *plugins) code(ctx context.Context, c *contracts, out output) error {
	for _, name := range []string{"protoc-gen-go", "protoc-gen-go-grpc", "protoc-gen-grpc-gateway"} {
		files, err := p.run(ctx, name, "module="+module, c.own, c.files)
		if err != nil {
			return err
		}
		for _, f := range files {
			if !strings.HasPrefix(f.GetName(), "gen/") {
				return fmt.Errorf("%s writes %s: the go_package of each contract must begin with %s/gen/", name, f.GetName(), module)
			}
			out[f.GetName()] = f.GetContent()
		}
	}
	return nil
}

// run asks one plugin, by the protocol that protoc speaks with its plugins.
func (p *plugins) run(ctx context.Context, name, param string, own []string, files []*descriptorpb.FileDescriptorProto) ([]*pluginpb.CodeGeneratorResponse_File, error) {
	request, err := proto.Marshal(&pluginpb.CodeGeneratorRequest{
		FileToGenerate:  own,
		ProtoFile:       files,
		Parameter:       &param,
		CompilerVersion: &pluginpb.Version{Major: proto.Int32(6), Minor: proto.Int32(33), Patch: proto.Int32(0)},
	})
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", name, err)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(p.dir, name))
	cmd.Stdin, cmd.Stderr = bytes.NewReader(request), os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", name, err)
	}
	var response pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(answer, &response); err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", name, err)
	}
	if response.Error != nil {
		return nil, fmt.Errorf("%s: %s", name, response.GetError())
	}
	return response.File, nil
}
