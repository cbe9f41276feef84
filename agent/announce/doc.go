// Package announce tells other programs of this machine when an agent's endpoints are
// online and where: in a file with the URLs, and to the service manager.
package announce
