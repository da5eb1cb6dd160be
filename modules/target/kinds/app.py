import logging

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.process
import tornado.web

host, port, workers, folder = "{{.Host}}", {{.Port}}, {{.Workers}}, {{if .Folder}}"pages/files"{{else}}""{{end}}


class Page(tornado.web.RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write("hello\n")


handlers = [("/", Page)]
if folder:
    handlers.append(("/files/(.*)", tornado.web.StaticFileHandler, {"path": folder}))
logging.getLogger("tornado.access").disabled = True
sockets = tornado.netutil.bind_sockets(port, host, backlog=4096)
if workers > 1:
    tornado.process.fork_processes(workers, 0)
server = tornado.httpserver.HTTPServer(
    tornado.web.Application(handlers, log_function=lambda handler: None), idle_connection_timeout=10**8
)
server.add_sockets(sockets)
tornado.ioloop.IOLoop.current().start()
