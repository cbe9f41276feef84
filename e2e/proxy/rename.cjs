// A front end sends its token in a header of another name, because Authorization was taken
// by the tunnel's password; this proxy adds the password, and renames the header once more.
const http = require('http')
const express = require('express')
const { createProxyMiddleware } = require('http-proxy-middleware')

// The names of tests resolve nowhere: everything is on this machine.
const lookup = (name, options, done) =>
  options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)

const app = express()
app.use('/', createProxyMiddleware({
  target: process.env.TARGET,
  changeOrigin: true,
  xfwd: true,
  auth: process.env.CREDENTIAL,
  agent: new http.Agent({ lookup }),
  logLevel: 'silent',
  onProxyReq: (out, request) => out.setHeader('x-added', request.headers['aaauthorization'] || '')
}))
const server = app.listen(0, '127.0.0.1', () => console.log(`listening on ${server.address().port}`))
