// Debian's grpc package still marshals by protobuf's first Go library, and knows no message of the second. What comes
// from the module proxy needs nothing of this.
package main

import (
	old "github.com/golang/protobuf/proto"
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
)

type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message interface{}) ([]byte, error) {
	if ours, is := message.(proto.Message); is {
		return proto.Marshal(ours)
	}
	return old.Marshal(message.(old.Message))
}

func (codec) Unmarshal(bytes []byte, message interface{}) error {
	if ours, is := message.(proto.Message); is {
		return proto.Unmarshal(bytes, ours)
	}
	return old.Unmarshal(bytes, message.(old.Message))
}

func init() { encoding.RegisterCodec(codec{}) }
