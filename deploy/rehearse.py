"""The HTTP requests of rehearse.sh: a pod in the cluster runs this file, with Python's standard library only.

load URL RATE            posts RATE expenses a second until /tmp/stop exists, and writes a line to /tmp/answers for each
burst URL SECONDS        posts from 32 clients without pause; these requests count as part of the load
report FROM              counts the load's requests from number FROM on, and those that failed at first, with reasons
traces FROM TO JAEGER    how many of these requests' traces a Jaeger has, and of how many
spans HOST…              spans started, exported, dropped and in flight, summed over these replicas
compare URL              counts answered decisions, those missing from the ledger, and recorded ones never answered
stall HOST…              400 clients of each replica send half a request and no more, for 40 seconds
ask URL [BODY [BAGGAGE [NAME]]]
                         one request, which names this host; prints status, Retry-After and body
race URL URL             twenty meals of 10.00 at once, half to each URL, by one employee on one day
resource JAEGER TRACE    the number of spans and the Kubernetes attributes of a trace, once Jaeger has it
"""

import collections, concurrent.futures, http.client, itertools, json, os, select, socket, sys, threading, time
import urllib.error, urllib.parse, urllib.request

ANSWERS, STOP = "/tmp/answers", "/tmp/stop"
EXPENSES = "/v1/expenses"


def ask(url, body=None, headers=None, timeout=40):
    """Status, headers and body of an answer, also of an error."""
    headers = {"content-type": "application/json", "connection": "close", **(headers or {})}
    request = urllib.request.Request(url, body.encode() if body else None, headers)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def ask_json(url, **more):
    status, _, text = ask(url, **more)
    assert status == 200, f"{url}: {status} {text}"
    return json.loads(text)


def post_until_answered(connection, user, key):
    """Posts an expense with the same key until it is answered, and writes the decision and failed tries to the file."""
    body, failed = json.dumps({"transaction": "Printer paper", "amount": "0.01", "user_id": user}), []
    while True:
        try:
            connection.request("POST", EXPENSES, body, {"content-type": "application/json", "idempotency-key": key})
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status == 201:
                break
            failed.append(f"{answer.status} with Retry-After" if answer.headers["retry-after"] else str(answer.status))
        except (OSError, ValueError, http.client.HTTPException) as error:
            connection.close()
            failed.append(type(error).__name__)
        time.sleep(0.5)
    decision = json.loads(text)
    line = json.dumps({"id": decision["id"], "trace_id": decision["trace_id"], "failed": failed})
    with open(ANSWERS, "a") as file:
        file.write(line + "\n")


def many(url, user, n_threads, pause, is_over):
    def work(worker):
        # The most demanding caller: it keeps its connection until the server closes it, and does not check it before use.
        connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=40)
        for n in itertools.count():
            if is_over():
                return
            begun = time.time()
            post_until_answered(connection, f"{user}-{worker}", f"{user}-{worker}-{n}")
            time.sleep(max(0, begun + pause - time.time()))

    threads = [threading.Thread(target=work, args=[worker]) for worker in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def load(url, rate):
    """RATE threads post one expense a second each."""
    open(ANSWERS, "w").close()
    many(url, "load", rate, 1, lambda: os.path.exists(STOP))
    open(STOP + "ped", "w").close()
    threading.Event().wait()


def burst(url, seconds):
    end = time.time() + seconds
    many(url, "load-burst", 32, 0, lambda: time.time() > end)


def answers(since=0):
    with open(ANSWERS) as file:
        return [json.loads(line) for line in itertools.islice(file, since, None) if line.endswith("\n")]


def report(since):
    these = answers(since)
    reasons = collections.Counter(reason for answer in these for reason in answer["failed"])
    said = ", ".join(f"{n} x {reason}" for reason, n in reasons.most_common()) or "none"
    print(len(these), sum(bool(answer["failed"]) for answer in these), said)


def traces(since, until, jaeger):
    these = answers(since)[: until - since]
    has = lambda answer: ask(f"{jaeger}/api/v3/traces/{answer['trace_id']}")[0] == 200
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        print(sum(pool.map(has, these)), len(these))


def spans(hosts):
    counts = [ask_json(f"http://{host}:8000/readyz?verbose")["spans"] for host in hosts]
    total = {key: sum(count[key] for count in counts) for key in counts[0]}
    assert total["started"] == total["exported"] + total["sampled_out"] + total["dropped"] + total["in_flight"], total
    print(total["started"], total["exported"], total["dropped"], total["in_flight"])


def compare(url):
    recorded, cursor = collections.Counter(), ""
    while cursor is not None:
        page = ask_json(f"{url}{EXPENSES}?limit=200{cursor}")
        recorded.update(d["id"] for d in page["decisions"] if (d["user_id"] or "").startswith("load-"))
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    answered = collections.Counter(answer["id"] for answer in answers())
    print(len(answered), len(answered - recorded), len(recorded - answered))


def race(*urls):
    user = f"race-{time.time_ns()}"
    body = json.dumps({"transaction": "Lunch", "amount": "10.00", "user_id": user})
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        replies = pool.map(lambda n: ask(urls[n % len(urls)] + EXPENSES, body), range(20))
        outcomes = collections.Counter(json.loads(text)["outcome"] for _, _, text in replies)
    print(outcomes["approved"], outcomes["denied"])


def stall(hosts):
    """Whenever the server closes a connection, the client opens another one."""
    clients, n_closed, end = {}, 0, time.time() + 40
    events = select.poll()

    def connect(host):
        client = socket.create_connection((host, 8000), timeout=10)
        client.sendall(b"POST /v1/expenses HTTP/1.1\r\nHost: expense-ag")
        events.register(client, select.POLLIN)
        clients[client.fileno()] = client, host

    for host in hosts * 400:
        connect(host)
    while time.time() < end:
        for number, _ in events.poll(1000):
            client, host = clients.pop(number)
            events.unregister(client)
            client.close()
            n_closed += 1
            connect(host)
    print(n_closed)


def resource(jaeger, trace):
    for _ in range(60):
        status, _, text = ask(f"{jaeger}/api/v3/traces/{trace}")
        if status == 200 and '"decide"' in text:
            break
        time.sleep(0.5)
    found = json.loads(text)["result"]["resourceSpans"]
    keys = {pair["key"]: next(iter(pair["value"].values())) for part in found for pair in part["resource"]["attributes"]}
    spans = [span["name"] for part in found for scope in part["scopeSpans"] for span in scope["spans"]]
    print(len(spans), *(f"{key}={value}" for key, value in sorted(keys.items()) if key.startswith("k8s.")))


match sys.argv[1:]:
    case ["load", url, rate]:
        load(url, int(rate))
    case ["burst", url, seconds]:
        burst(url, float(seconds))
    case ["report", since]:
        report(int(since))
    case ["traces", since, until, jaeger]:
        traces(int(since), int(until), jaeger)
    case ["spans", *hosts]:
        spans(hosts)
    case ["compare", url]:
        compare(url)
    case ["stall", *hosts]:
        stall(hosts)
    case ["ask", url, *more]:
        body, baggage, name = (more + ["", "", ""])[:3]
        headers = {"baggage": baggage, "host": name}
        status, headers, text = ask(url, body or None, {key: value for key, value in headers.items() if value})
        print(status, headers["retry-after"] or "-", text)
    case ["race", *urls]:
        race(*urls)
    case ["resource", jaeger, trace]:
        resource(jaeger, trace)
    case _:
        sys.exit(__doc__)
