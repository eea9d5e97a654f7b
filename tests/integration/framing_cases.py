"""What request smuggling is made of, as rows: requests that two readers could take for different
messages, and beside them the plain forms that must go on working. Written from RFC 9110 and 9112."""

POST = b"POST /v1/records HTTP/1.1\r\n"
HOST = b"Host: localhost\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def post(fields, body=b"", host=HOST):
    return POST + host + fields + b"\r\n" + body


def refused():
    """(name, bytes)"""
    rows = []

    def add(name, content):
        rows.append((name, content))

    for value in (b"+5", b"-5", b" +5", b"5 5", b"5,5", b"5, 5", b"5;", b"0x5", b"5e0", b"5.0", b"",
                  b"'5'", b'"5"', b"\x0b5", b"5\x00", b"\xd9\xa5", b"18446744073709551621",
                  b"9" * 400, b"5\r\n 5", b"5\r\n\t"):
        add(f"Content-Length {value[:30]!r}", post(b"Content-Length: " + value + b"\r\n", b"hello"))
    for value in (b"xchunked", b"chunkedx", b"chunked, identity", b"identity, chunked", b"identity",
                  b"chunked, chunked", b"chunked,", b",chunked", b"chunked;q=1", b"\"chunked\"",
                  b"'chunked'", b"chunked\x00", b"\x0bchunked", b"chunked\x0b", b"chun\tked", b"",
                  b"gzip, chunked", b"cow", b"chunk", b"\xffchunked", b"x\r\n chunked",
                  b"chunked\r\n x", b"\r\n chunked"):
        add(f"Transfer-Encoding {value!r}", post(b"Transfer-Encoding: " + value + b"\r\n", HELLO))
    for first, second in (
            (b"Content-Length: 5", b"Content-Length: 5"), (b"Content-Length: 5", b"Content-Length: 6"),
            (b"Content-Length: 5", b"content-length: 5"), (b"Content-Length: 5", CHUNKED[:-2]),
            (CHUNKED[:-2], b"Content-Length: 5"), (CHUNKED[:-2], CHUNKED[:-2]),
            (CHUNKED[:-2], b"Transfer-Encoding: identity"), (CHUNKED[:-2], b"Transfer_Encoding: x"),
            (b"Content-Length: 5", b"Content_Length: 6"), (CHUNKED[:-2], b"Connection: Transfer-Encoding"),
            (b"Content-Length: 5", b"Connection: close, Content-Length"),
            (b"Content-Length: 5", b"Connection: host")):
        add(f"{first!r} + {second!r}", post(first + b"\r\n" + second + b"\r\n", HELLO))
    for line in (b"Content-Length : 5\r\n", b"Content-Length\t: 5\r\n", b" Content-Length: 5\r\n",
                 b"\tX: y\r\n", b"X: y\r\n z\r\n", b"X: y\r\n\tz\r\n", b"X: y\rZ: z\r\n", b"X: y\nZ: z\r\n",
                 b"X: y\r\r\n", b"X: y\n", b"\nX: y\r\n", b"\rX: y\r\n", b"X: a\x00b\r\n", b"X\x00: a\r\n",
                 b"X: \x01\r\n", b"X: \x7f\r\n", b"X\x80: y\r\n", b"X(Y): z\r\n", b"X Y: z\r\n", b": y\r\n",
                 b"X\r\n", b"X: y\r\n\n", b"\x00\r\n", b"X\xc2\xa0: y\r\n", b"Content-Length\x0b: 5\r\n",
                 b"Transfer-Encoding\xa0: chunked\r\n", b"X: y\x0b\r\n Z: z\r\n"):
        add(f"field line {line!r}", post(line + b"Content-Length: 5\r\n", b"hello"))
    for body in (b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello\n0\r\n\r\n", b"5\r\nhello\r\n0\n\r\n",
                 b"5\r\nhello\r\n0\r\n\n", b"5\rhello\r\n0\r\n\r\n", b"5\r\r\nhello\r\n0\r\n\r\n",
                 b"5\r\nhello\r0\r\n\r\n", b"5\r\nhelloX\r\n0\r\n\r\n", b"5\r\nhell\r\n0\r\n\r\n",
                 b"+5\r\nhello\r\n0\r\n\r\n", b"-5\r\nhello\r\n0\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
                 b"5h\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n", b" 5\r\nhello\r\n0\r\n\r\n",
                 b"5_0\r\nhello\r\n0\r\n\r\n", b"5\x00\r\nhello\r\n0\r\n\r\n", b"5\t\r\nhello\r\n0\r\n\r\n",
                 b"\r\n5\r\nhello\r\n0\r\n\r\n", b";x\r\nhello\r\n0\r\n\r\n", b"5;\r\nhello\r\n0\r\n\r\n",
                 b"5;x\nhello\r\n0\r\n\r\n", b"5;x\rhello\r\n0\r\n\r\n", b"5;x=\"a\nb\"\r\nhello\r\n0\r\n\r\n",
                 b"5;x=\"a\r\nb\"\r\nhello\r\n0\r\n\r\n", b"5;x=\"a\r\nhello\r\n0\r\n\r\n",
                 b"5;x\x00\r\nhello\r\n0\r\n\r\n", b"5 ;x\r\nhello\r\n0\r\n\r\n", b"5; x\r\nhello\r\n0\r\n\r\n",
                 b"5;;x\r\nhello\r\n0\r\n\r\n", b"5;" + b"x" * 20000 + b"\r\nhello\r\n0\r\n\r\n",
                 b"10000000000000005\r\nhello\r\n0\r\n\r\n", b"100000005\r\nhello\r\n0\r\n\r\n",
                 b"FFFFFFFFFFFFFFFF\r\nhello\r\n", b"FFFFFFFFFFFFFFFFF\r\nhello\r\n",
                 b"8000000000000000\r\nhello\r\n", b"7FFFFFFFFFFFFFFF\r\nhello\r\n",
                 b"00000000000000000000005\r\nhello\r\n0\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nHost: other\r\n\r\n", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n", b"5\r\nhello\r\n0\r\nX: y\n\r\n",
                 b"5\r\nhello\r\n0\r\n: y\r\n\r\n", b"5\r\nhello\r\n0\r\nX\r\n\r\n",
                 b"5\r\nhello\r\n0\r\nX: a\x00\r\n\r\n", b"5\r\nhello\r\n0\r\nGET / HTTP/1.1\r\n\r\n",
                 b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 4000 + b"\r\n"):
        add(f"chunks {body[:60]!r}", post(CHUNKED, body))
    for line in (b"GET /livez\r\n", b"GET /livez HTTP/0.9\r\n", b"GET /livez HTTP/1.2\r\n",
                 b"GET /livez HTTP/2.0\r\n", b"GET /livez HTTP/1\r\n", b"GET /livez HTTP/1.10\r\n",
                 b"GET /livez HTTP/01.1\r\n", b"GET /livez http/1.1\r\n", b"GET /livez HTTP /1.1\r\n",
                 b"GET /livez HTTP/1.1 \r\n", b"GET /livez HTTP/1.1\n", b"GET /livez HTTP/1.1\r",
                 b"GET  /livez HTTP/1.1\r\n", b"GET /livez  HTTP/1.1\r\n", b"GET\t/livez HTTP/1.1\r\n",
                 b"GET /livez\tHTTP/1.1\r\n", b" GET /livez HTTP/1.1\r\n", b"\tGET /livez HTTP/1.1\r\n",
                 b"\nGET /livez HTTP/1.1\r\n", b"\rGET /livez HTTP/1.1\r\n", b"\x00GET /livez HTTP/1.1\r\n",
                 b"GET /li vez HTTP/1.1\r\n", b"GET /livez\x00 HTTP/1.1\r\n", b"GET /livez\x7f HTTP/1.1\r\n",
                 b"GET /livez#a HTTP/1.1\r\n", b"GET /livez\xc3\xbc HTTP/1.1\r\n", b"GET /%00 HTTP/1.1\r\n",
                 b"GET /%zz HTTP/1.1\r\n", b"GET livez HTTP/1.1\r\n", b"GET HTTP/1.1\r\n",
                 b"GET http:/livez HTTP/1.1\r\n", b"GET http:///livez HTTP/1.1\r\n",
                 b"GET http://other/livez HTTP/1.1\r\n", b"GET http://localhost:81/livez HTTP/1.1\r\n",
                 b"GET http://u@localhost/livez HTTP/1.1\r\n", b"GET * HTTP/1.1\r\n",
                 b"G@T /livez HTTP/1.1\r\n", b"G(T /livez HTTP/1.1\r\n", b"get /livez HTTP/1.1\r\n",
                 b"GETX /livez HTTP/1.1\r\n", b"CONNECT /livez HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n",
                 b"PRI * HTTP/2.0\r\n", b"GET /livez HTTP/1.1\r\nX\r\n", b"GET /livez,HTTP/1.1\r\n",
                 b"\x16\x03\x01\x02\x00\x01\x00\x01", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n"):
        add(f"first line {line[:50]!r}", line + HOST + b"\r\n")
    for host in (b"", b"Host:\r\n", b"Host: \r\n", HOST + HOST, HOST + b"host: other\r\n", b"Host: a b\r\n",
                 b"Host: a,b\r\n", b"Host: a/b\r\n", b"Host: u@a\r\n", b"Host: a:b\r\n", b"Host: a:99999\r\n",
                 b"Host: a#\r\n", b"Host: a?b\r\n", b"Host: [::1\r\n", b"Host: a\x00\r\n", b"Host : a\r\n",
                 b"Host\r\n", b"Host: a\r\n b\r\n", b"Host: a\\b\r\n", b"Host: %61\r\n", b"Host: -:\r\nHost:\r\n"):
        add(f"hosts {host!r}", post(b"Content-Length: 5\r\n", b"hello", host))
    add("chunked in HTTP/1.0", b"POST /v1/records HTTP/1.0\r\n" + HOST + CHUNKED + b"\r\n" + HELLO)
    add("chunked and kept in HTTP/1.0", b"POST /v1/records HTTP/1.0\r\n" + HOST + CHUNKED +
        b"Connection: keep-alive\r\n\r\n" + HELLO)
    add("an unknown expectation", post(b"Expect: 100-continue, x\r\nContent-Length: 5\r\n", b"hello"))
    add("too many fields", post(b"X: y\r\n" * 500 + b"Content-Length: 5\r\n", b"hello"))
    add("a GET with broken chunks", b"GET /livez HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\nzz\r\n")
    add("an unknown path with broken chunks", b"POST /x HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n3\r\nabcd")
    add("what follows an upgrade", b"GET /x HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n")
    return rows


def accepted():
    """(name, bytes, statuses of the answers)"""
    next_one = b"GET /livez HTTP/1.1\r\n" + HOST + b"\r\n"
    return [
        ("one length", post(b"Content-Length: 5\r\n", b"hello") + next_one, [201, 200]),
        ("a length with leading zeros and white space around it",
         post(b"Content-Length: \t 005 \t\r\n", b"hello") + next_one, [201, 200]),
        ("chunks", post(CHUNKED, HELLO) + next_one, [201, 200]),
        ("chunked in other letters", post(b"transfer-ENCODING:Chunked\r\n", HELLO) + next_one, [201, 200]),
        ("extensions and trailers", post(CHUNKED, b"5;a;b=c;d=\"e;\\\" f\"\r\nhello\r\n0;x\r\nX-Sum: y\r\n\r\n")
         + next_one, [201, 200]),
        ("sizes with leading zeros and letters of both cases",
         post(CHUNKED, b"0a\r\n0123456789\r\n00A\r\n0123456789\r\n000\r\n\r\n") + next_one, [201, 200]),
        ("CRLF behind a body", post(b"Content-Length: 5\r\n", b"hello") + b"\r\n\r\n" + next_one, [201, 200]),
        ("absolute form", b"GET http://LOCALHOST:80/livez HTTP/1.1\r\n" + HOST + b"\r\n" + next_one, [200, 200]),
        ("HTTP/1.0 without Host", b"GET /livez HTTP/1.0\r\n\r\n", [200]),
        ("a body on GET", b"GET /livez HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello" + next_one,
         [200, 200]),
        ("chunks on an unknown path", b"POST /x HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n" + HELLO + next_one,
         [404, 200]),
        ("ten pipelined", next_one * 10, [200] * 10),
    ]
