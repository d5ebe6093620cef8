(* an HTTP server in Lwt, on libev: answers every request with the same *)
open Lwt.Infix

let answer = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nHello\n"

let rec serve input output =
  Lwt_io.read_line input >>= fun line ->
  (if line = "" then Lwt_io.write output answer >>= fun () -> Lwt_io.flush output else Lwt.return_unit) >>= fun () ->
  serve input output

let client _ (input, output) =
  Lwt.catch (fun () -> serve input output) (fun _ -> Lwt.return_unit)

let () =
  Lwt_engine.set (new Lwt_engine.libev ());
  Lwt_main.run
    (Lwt_io.establish_server_with_client_address (Unix.ADDR_INET (Unix.inet_addr_loopback, 0)) client >>= fun _ ->
     fst (Lwt.wait ()))
