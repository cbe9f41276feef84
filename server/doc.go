// Package server assembles one node: it reads the configuration, opens the data
// directory, binds every listener and joins store, service, cluster, route table,
// edge and control into one process that starts, drains and stops in order.
//
//	config, err := server.Load("postern.yml", os.Getenv, nil)
//	node, err := server.New(config, server.Options{Logger: logger})
//	err = node.Run(ctx)
//
// It is the only package on the server's side that names a database driver.
package server
