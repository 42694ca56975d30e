# moto's server with one bucket in it. All of it is in memory.
import os, threading, urllib.request
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="0.0.0.0", port=9000)
server.start()
bucket = "http://127.0.0.1:9000/" + os.environ["BUCKET"]
urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"))
threading.Event().wait()
