// A WASI 0.2 component in JavaScript. In: a request. Out: `GET /` greets, `POST /upper` answers the body in capitals, else 404.
// Written on the raw interfaces: an explicit `incomingHandler` export is what componentize-js wants.
import { Fields, IncomingBody, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.12";

export const incomingHandler = {
  handle(request, responseOut) {
    const path = (request.pathWithQuery() ?? "").split("?")[0];
    if (path === "/") return send(responseOut, 200, "hello from JavaScript\n");
    if (path === "/upper") return send(responseOut, 200, read(request).toUpperCase());
    send(responseOut, 404, "");
  },
};

function read(request) {
  const body = request.consume();
  const stream = body.stream();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    try {
      text += decoder.decode(stream.blockingRead(65536n), { stream: true });
    } catch (error) {
      if (error.payload?.tag === "closed") break;
      throw error;
    }
  }
  stream[Symbol.dispose]();
  IncomingBody.finish(body);
  return text + decoder.decode();
}

function send(responseOut, status, text) {
  const response = new OutgoingResponse(Fields.fromList([["content-type", new TextEncoder().encode("text/plain")]]));
  response.setStatusCode(status);
  const body = response.body();
  ResponseOutparam.set(responseOut, { tag: "ok", val: response });
  const bytes = new TextEncoder().encode(text);
  const stream = body.write();
  for (let start = 0; start < bytes.length; start += 4096) stream.blockingWriteAndFlush(bytes.subarray(start, start + 4096));
  stream[Symbol.dispose]();
  OutgoingBody.finish(body, undefined);
}
