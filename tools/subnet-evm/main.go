// Subnet-EVM for avalanchego, as its makers serve it, but content with the open files that the system grants: their
// own program ends where the hard limit is below 32,768, as in containers and on build machines.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/ava-labs/avalanchego/vms/rpcchainvm"
	"github.com/ava-labs/subnet-evm/plugin/evm"
)

func main() {
	evm.RegisterAllLibEVMExtras()
	machine := new(evm.VM)
	if err := rpcchainvm.Serve(context.Background(), machine); err != nil {
		fmt.Fprintln(os.Stderr, "subnet-evm:", err)
		os.Exit(1)
	}
}
