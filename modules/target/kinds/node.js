'use strict';
const cluster = require('cluster'), fs = require('fs'), http = require('http'), path = require('path');

const host = '{{.Host}}', port = {{.Port}}, workers = {{.Workers}}, folder = {{if .Folder}}'pages/files'{{else}}''{{end}};
const page = Buffer.from('hello\n');

function file(request, response) {
  let name;
  try {
    name = path.join(folder, path.normalize('/' + decodeURIComponent(request.url.slice('/files/'.length).split('?')[0])));
  } catch (e) {
    return refuse(response, 400);
  }
  const stream = fs.createReadStream(name);
  stream.on('open', () => response.writeHead(200, {'Content-Type': 'application/octet-stream'}));
  stream.on('error', () => response.headersSent ? response.destroy() : refuse(response, 404));
  stream.pipe(response);
}

function refuse(response, status) {
  response.writeHead(status, {'Content-Length': 0});
  response.end();
}

function serve() {
  const server = http.createServer((request, response) => {
    if (request.url === '/') {
      response.writeHead(200, {'Content-Type': 'text/plain', 'Content-Length': page.length});
      response.end(page);
    } else if (folder && request.url.startsWith('/files/')) {
      file(request, response);
    } else {
      refuse(response, 404);
    }
  });
  server.keepAliveTimeout = server.headersTimeout = server.requestTimeout = server.timeout = 0;
  server.maxRequestsPerSocket = 0;
  server.on('error', (e) => { console.error(e.message); process.exit(1); });
  server.listen({host, port, backlog: 4096});
}

if (workers > 1 && cluster.isPrimary) {
  for (let i = 0; i < workers; i++) cluster.fork();
  cluster.on('exit', (worker, code, signal) => { console.error(`worker ${worker.process.pid} ended with ${signal || code}`); process.exit(1); });
} else {
  serve();
}
