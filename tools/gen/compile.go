package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// contracts are the compiled files of api/ with everything they import.
type contracts struct {
	own   []string                            // files of api/, sorted
	files []*descriptorpb.FileDescriptorProto // imports before importers
	reg   *protoregistry.Files                // the same, linked
}

// compile reads every .proto below api/; google.api comes from thirdParty.
func compile(ctx context.Context, root, thirdParty string) (*contracts, error) {
	api := filepath.Join(root, "api")
	own, err := protoFiles(api)
	if err != nil {
		return nil, err
	}
	compiler := protocompile.Compiler{
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
			ImportPaths: []string{api, thirdParty},
		}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	linked, err := compiler.Compile(ctx, own...)
	if err != nil {
		return nil, fmt.Errorf("compile api: %w", err)
	}
	c := &contracts{own: own}
	seen := make(map[string]bool)
	for _, f := range linked {
		if err := c.add(f, seen); err != nil {
			return nil, err
		}
	}
	c.reg, err = protodesc.NewFiles(&descriptorpb.FileDescriptorSet{File: c.files})
	if err != nil {
		return nil, fmt.Errorf("link api: %w", err)
	}
	return c, nil
}

func protoFiles(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".proto" {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list contracts: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// add appends a file after its imports. The file passes through its bytes, so
// that options become what a plugin would see.
func (c *contracts) add(f protoreflect.FileDescriptor, seen map[string]bool) error {
	if seen[f.Path()] {
		return nil
	}
	seen[f.Path()] = true
	imports := f.Imports()
	for i := range imports.Len() {
		if err := c.add(imports.Get(i).FileDescriptor, seen); err != nil {
			return err
		}
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(f))
	if err != nil {
		return fmt.Errorf("encode %s: %w", f.Path(), err)
	}
	file := new(descriptorpb.FileDescriptorProto)
	if err := proto.Unmarshal(raw, file); err != nil {
		return fmt.Errorf("decode %s: %w", f.Path(), err)
	}
	// ToFileDescriptorProto drops comments; they belong in the OpenAPI document.
	if withSource, ok := f.(interface {
		FileDescriptorProto() *descriptorpb.FileDescriptorProto
	}); ok {
		file.SourceCodeInfo = withSource.FileDescriptorProto().GetSourceCodeInfo()
	}
	c.files = append(c.files, file)
	return nil
}

// room is the room that a package belongs to: "orders" of souk.orders.v1.
func room(pkg protoreflect.FullName) string {
	parts := strings.Split(string(pkg), ".")
	if len(parts) < 2 {
		return string(pkg)
	}
	return parts[len(parts)-2]
}
