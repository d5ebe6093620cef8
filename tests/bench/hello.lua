-- an HTTP server in lua-ev: answers every request with the same
local ev, socket = require "ev", require "socket"
local answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nHello\n"
local function serve(client)
  local line, failed, rest
  client:settimeout(0)
  return function(loop, watcher)
    repeat
      line, failed, rest = client:receive("*l", rest)
      if line == "" then client:send(answer) end
    until failed or not client:dirty()
    if failed and failed ~= "timeout" then
      watcher:stop(loop)
      client:close()
    end
  end
end

local listener = assert(socket.bind("127.0.0.1", 0, 128))
listener:settimeout(0)
ev.IO.new(function(loop)
  local client = listener:accept()
  if client then ev.IO.new(serve(client), client:getfd(), ev.READ):start(loop) end
end, listener:getfd(), ev.READ):start(ev.Loop.default)
ev.Loop.default:loop()
