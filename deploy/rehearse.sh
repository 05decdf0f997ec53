#!/usr/bin/env bash
# Rehearses failures and changes of the service on a cluster, under a steady load, and reports what it saw:
#   deploy/rehearse.sh KUBECONFIG IMAGE [NEXT_IMAGE]
# IMAGE and NEXT_IMAGE are images of the agent that the nodes have or can pull. Without NEXT_IMAGE the change of image is
# skipped. Needs bash, diff, kubectl, and a cluster (kind or any other) without a namespace `expense-agent` and without objects
# called `expense-agent-rehearsal`, whose user may run a pod as root. Takes ten minutes; exit code 1 when a step fails.
#   KEEP=1             does not clean up at the end
#   RATE=10            expenses a second
#   LOAD_IMAGE=…       an image with Python 3.10 or newer, by default python:3.13-alpine
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,9p' "$0"; exit 2; }
export KUBECONFIG=$1
[[ $1 == /* ]] || KUBECONFIG=$PWD/$1
cd "$(dirname "$0")/.."
IMAGE=$2 NEXT_IMAGE=${3:-} RATE=${RATE:-10} LOAD_IMAGE=${LOAD_IMAGE:-python:3.13-alpine}
AGENT=http://expense-agent JAEGER=http://jaeger-query:16686 POLICIES=expense-agent-policies
WORK=$(mktemp -d)

k() { kubectl -n expense-agent "$@"; }
saw() { printf 'ok    %-28s %s\n' "$1" "$2"; }
fail() { printf 'FAIL  %-28s %s\n' "$1" "$2"; exit 1; }

clean_up() {
  local code=$?
  rm -rf "$WORK"
  if [ -n "${HAS_BEGUN:-}" ] && [ -z "${KEEP:-}" ]; then
    kubectl delete namespace expense-agent --ignore-not-found --timeout=120s >/dev/null || code=1
    if kubectl get persistentvolume expense-agent-rehearsal >/dev/null 2>&1; then
      HELPER=volume
      on_node "import shutil; shutil.rmtree('/host$VOLUME')" || code=1
      kubectl delete persistentvolume expense-agent-rehearsal --timeout=60s >/dev/null || code=1
    fi
    kubectl delete namespace expense-agent-rehearsal --ignore-not-found --timeout=120s >/dev/null || code=1
  fi
  exit "$code"
}
trap clean_up EXIT
HELPER='' VOLUME=/var/tmp/expense-agent-rehearsal

# until_so SECONDS WHAT COMMAND…: runs the command twice a second until it succeeds.
until_so() {
  local end=$((SECONDS + $1)) what=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "$what" "did not happen in time; kubectl -n expense-agent get pods says more (KEEP=1 keeps them)"
    sleep 0.5
  done
}

# The agent's pods that are not being deleted: name, address, whether ready, restarts.
pods() {
  local ready='{{range .status.conditions}}{{if eq .type "Ready"}}{{.status}}{{end}}{{end}}'
  local restarts='{{range .status.containerStatuses}}{{.restartCount}}{{end}}'
  local pod="{{.metadata.name}} {{.status.podIP}} $ready $restarts"'{{"\n"}}'
  k get pods -l app.kubernetes.io/name=expense-agent \
    -o go-template="{{range .items}}{{if not .metadata.deletionTimestamp}}$pod{{end}}{{end}}"
}
names() { pods | cut -d' ' -f1; }
addresses() { pods | cut -d' ' -f2; }
n_ready() { pods | grep -c ' True ' || true; }
are_ready() { [ "$(n_ready)" = "$1" ] && [ "$(pods | wc -l)" = 2 ]; }
restarts() { pods | cut -d' ' -f1,4; }

# Runs rehearse.py in the pod that makes the load.
load() { k exec rehearsal-load -- python3 /rehearsal/rehearse.py "$@"; }
# each_says PATH TEXT [BAGGAGE]: succeeds if the answer of every replica contains the text.
each_says() {
  local address
  for address in $(addresses); do load ask "http://$address:8000$1" "" "${3:-}" | grep -q -- "$2" || return 1; done
}
# Runs Python as root on the node of the helper pod.
on_node() { kubectl -n expense-agent-rehearsal exec "$HELPER" -- python3 -c "$1"; }

# The queues are as good as empty: they hold no more spans than the load makes in about a second.
queues_are_short() { [ "$(load spans $(addresses) | cut -d' ' -f4)" -lt "$((RATE * 10))" ]; }

# Between `under_load` and `undisturbed` every request of the load has to succeed at the first try.
under_load() { read -r FROM _ <<<"$(load report 0)"; STARTED=$SECONDS; }
undisturbed() {
  sleep 3
  local n n_failed reasons
  read -r n n_failed reasons <<<"$(load report "$FROM")"
  # Requests that hang are counted much later, so a low count means that requests hang.
  [ "$((n * 5))" -ge "$((RATE * (SECONDS - STARTED) * 4))" ] || fail "$1" "only $n requests were answered in $((SECONDS - STARTED)) s"
  [ "$n_failed" = 0 ] || fail "$1" "$n_failed of $n requests failed at first: $reasons"
  saw "$1" "$2, in $((SECONDS - STARTED)) s; $n requests, none failed"
}

# change_meals SED KEY: puts an edited copy of the meals policy into the ConfigMap.
change_meals() {
  sed "$1" policies/meals.toml >"$WORK/$2"
  local data; data=$(kubectl create configmap x --from-file="$WORK/$2" --dry-run=client -o jsonpath='{.data}')
  k patch configmap "$POLICIES" --type merge -p "{\"data\": $data}" >/dev/null
}

# ---- The cluster, and the script's own objects there

# The clean-up deletes these objects, so they must not exist before this run.
FOUND=$(kubectl get namespace/expense-agent namespace/expense-agent-rehearsal persistentvolume/expense-agent-rehearsal \
  --ignore-not-found -o name)
[ -z "$FOUND" ] || fail "an empty cluster" "already has ${FOUND//$'\n'/, }"
HAS_BEGUN=1
NODE=$(kubectl get nodes -o jsonpath='{.items[0].metadata.name}')
saw "the cluster" "$(kubectl version -o yaml | sed -n '/serverVersion/,$s/.*gitVersion: //p'), $(kubectl get nodes -o name | wc -l) node(s)"

# A pod that is root on its node. It makes a volume and kills a process, which the restricted namespace does not allow.
helper() { # helper NAME NODE
  kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Namespace
metadata:
  name: expense-agent-rehearsal
  labels: {pod-security.kubernetes.io/enforce: privileged}
YAML
  # The cluster creates the namespace's service account with a delay.
  until_so 30 "a namespace" kubectl -n expense-agent-rehearsal get serviceaccount default
  kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1, namespace: expense-agent-rehearsal}
spec:
  nodeName: $2
  hostPID: true
  terminationGracePeriodSeconds: 0
  containers:
    - name: helper
      image: $LOAD_IMAGE
      command: [python3, -c, "import threading; threading.Event().wait()"]
      securityContext: {runAsUser: 0, capabilities: {add: [KILL, SYS_PTRACE]}}
      volumeMounts: [{name: host, mountPath: /host}]
  volumes: [{name: host, hostPath: {path: /}}]
YAML
  kubectl -n expense-agent-rehearsal wait --for=condition=Ready "pod/$1" --timeout=180s >/dev/null
  HELPER=$1
}

if [ -z "$(kubectl get storageclass -o name)" ]; then
  helper volume "$NODE"
  on_node "import os; os.makedirs('/host$VOLUME'); os.chown('/host$VOLUME', 999, 999)"
  kubectl apply -f - >/dev/null <<YAML
apiVersion: v1
kind: PersistentVolume
metadata: {name: expense-agent-rehearsal}
spec:
  capacity: {storage: 5Gi}
  accessModes: [ReadWriteOnce]
  claimRef: {namespace: expense-agent, name: data-expense-agent-postgres-0}
  hostPath: {path: $VOLUME}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [$NODE]}]}]}}
YAML
  saw "a volume" "made on $NODE, because the cluster has no storage class"
fi

# ---- The manifest on an empty cluster

sed "s|image: expense-agent:.*|image: $IMAGE|" k8s-manifest.yaml >"$WORK/manifest.yaml"
kubectl apply -f "$WORK/manifest.yaml" >"$WORK/applied"
saw "the manifest" "$(wc -l <"$WORK/applied") objects"

waits_for_secret() { k get pods -o jsonpath='{.items[*].status.containerStatuses[*].state.waiting.reason}' | grep -q CreateContainerConfigError; }
until_so 90 "waiting for the secret" waits_for_secret
PASSWORD=$(head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n')
k create secret generic expense-agent-postgres --from-literal="password=$PASSWORD" \
  --from-literal="database-url=postgres://expense:$PASSWORD@expense-agent-postgres/expense" >/dev/null
STARTED=$SECONDS
until_so 300 "both replicas" are_ready 2
k rollout status deployment/jaeger --timeout=120s >/dev/null
saw "both replicas" "waited for the database's secret, and were ready $((SECONDS - STARTED)) s after it was created"

if k run root --image="$IMAGE" --dry-run=server >/dev/null 2>"$WORK/refused"; then
  fail "Pod Security" "a pod that may run as root was admitted"
fi
grep -q 'violates PodSecurity "restricted' "$WORK/refused" || fail "Pod Security" "$(cat "$WORK/refused")"
saw "Pod Security" "restricted: a pod that may run as root is rejected"

k create configmap rehearsal --from-file=deploy/rehearse.py >/dev/null
k apply -f - >/dev/null <<YAML
apiVersion: v1
kind: Pod
metadata: {name: rehearsal-load}
spec:
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 0
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: load
      image: $LOAD_IMAGE
      command: [python3, /rehearsal/rehearse.py, load, "$AGENT", "$RATE"]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: rehearsal, mountPath: /rehearsal}, {name: tmp, mountPath: /tmp}]
  volumes: [{name: rehearsal, configMap: {name: rehearsal}}, {name: tmp, emptyDir: {}}]
YAML
k wait --for=condition=Ready pod/rehearsal-load --timeout=180s >/dev/null

each_says "/readyz?verbose" '"model": *"offline-rules-1"' || fail "without OpenAI's key" "$(load ask "$AGENT/readyz?verbose")"
saw "without OpenAI's key" "both serve, and /readyz?verbose says offline-rules-1"

for name in expense-agent{,.expense-agent{,.svc{,.cluster.local}}} $(addresses | sed 's/$/:8000/'); do
  SAID=$(load ask "http://$name/v1/policies")
  [[ $SAID == 200* ]] || fail "names of the agent" "$name: $SAID"
done
SAID=$(load ask "$AGENT/v1/policies" "" "" agent.example.com)
[[ $SAID == 421*misdirected_request* ]] || fail "names of the agent" "agent.example.com: $SAID"
saw "names of the agent" "it answers to all of its Service and to the pods' addresses, and with 421 to another"

ANSWER=$(load ask "$AGENT/v1/expenses" '{"transaction": "Flight to Chicago, $650", "amount": "650.00", "user_id": "ana"}')
[[ $ANSWER == 201* ]] || fail "a decision" "$ANSWER"
TRACE=$(sed 's/.*"trace_id": *"\([0-9a-f]*\)".*/\1/' <<<"$ANSWER")
read -r N_SPANS ATTRIBUTES <<<"$(load resource "$JAEGER" "$TRACE")"
[ "$N_SPANS" -ge 8 ] || fail "its trace" "has $N_SPANS spans"
for key in k8s.pod.name k8s.pod.uid k8s.namespace.name k8s.node.name k8s.deployment.name; do
  [[ $ATTRIBUTES == *$key=* ]] || fail "its trace" "lacks $key: $ATTRIBUTES"
done
saw "a decision and its trace" "201; $N_SPANS spans in Jaeger with $ATTRIBUTES"

PODS=$(pods)
kubectl diff -f "$WORK/manifest.yaml" >"$WORK/diff" || fail "a second apply" "would change $(grep -c '^diff' "$WORK/diff") objects"
kubectl apply -f "$WORK/manifest.yaml" >/dev/null
[ "$(pods)" = "$PODS" ] || fail "a second apply" "replaced pods"
saw "a second apply" "changes nothing"

# The steps below expect two pods, so the autoscaler must not change their number.
k delete horizontalpodautoscaler expense-agent >/dev/null

# ---- Changes and failures under load

under_load
k rollout restart deployment/expense-agent >/dev/null
k rollout status deployment/expense-agent --timeout=300s >/dev/null
until_so 60 "a rolling restart" are_ready 2
undisturbed "a rolling restart" "both replaced"

if [ -n "$NEXT_IMAGE" ]; then
  under_load
  k set image deployment/expense-agent "expense-agent=$NEXT_IMAGE" >/dev/null
  k rollout status deployment/expense-agent --timeout=300s >/dev/null
  until_so 60 "another image" are_ready 2
  undisturbed "another image" "both run $NEXT_IMAGE"
else
  saw "another image" "skipped, because NEXT_IMAGE is not given"
fi

under_load
POD=$(names | head -n 1)
k delete pod "$POD" --timeout=120s >/dev/null
until_so 120 "a pod deleted" are_ready 2
undisturbed "a pod deleted" "$POD has a successor"

under_load
read -r POD ADDRESS _ <<<"$(pods | head -n 1)"
RESTARTS=$(restarts)
helper "killer-$RANDOM" "$(k get pod "$POD" -o jsonpath='{.spec.nodeName}')"
# Enough requests at once that the kill interrupts some of them.
load burst "http://$ADDRESS:8000" 6 & BURST=$!
sleep 3
# No process in a container can kill its PID 1, so it is killed from the node, where its environment identifies it.
on_node "
import os, signal
def has(pid, file, text):
    try: return text in open(f'/proc/{pid}/{file}', 'rb').read().split(b'\0')
    except OSError: return False
pids = [int(pid) for pid in os.listdir('/proc') if pid.isdigit() and has(pid, 'environ', b'POD_NAME=$POD')]
pids = [pid for pid in pids if has(pid, 'cmdline', b'/usr/local/bin/expense-agent')]
assert len(pids) == 1, pids
os.kill(pids[0], signal.SIGKILL)"
was_restarted() { [ "$(restarts)" != "$RESTARTS" ]; }
until_so 60 "a container killed" was_restarted
until_so 120 "a container killed" are_ready 2
wait "$BURST" || fail "a container killed" "the clients did not get their answers"
read -r N N_FAILED REASONS <<<"$(load report "$FROM")"
[ "$N_FAILED" -gt 0 ] || fail "a container killed" "no request was interrupted, so the step proves nothing"
saw "a container killed" "$POD restarted after SIGKILL; $N requests, $N_FAILED of them answered on another try with the same key ($REASONS)"

under_load
RESTARTS=$(restarts)
load stall $(addresses) >"$WORK/stalled" & STALL=$!
while kill -0 "$STALL" 2>/dev/null; do
  are_ready 2 && [ "$(restarts)" = "$RESTARTS" ] || fail "clients that stall" "a probe failed: $(pods)"
  sleep 1
done
wait "$STALL" || fail "clients that stall" "they could not connect"
undisturbed "clients that stall" "800 of them, of whose connections $(cat "$WORK/stalled") were closed; both pods stayed ready"

under_load
RESTARTS=$(restarts)
change_meals 's/^version = "1"$/version = "2"/' meals.toml
until_so 120 "a policy changed" each_says /v1/policies '"category":"meals","version":"2"'
[ "$(restarts)" = "$RESTARTS" ] || fail "a policy changed" "pods were restarted"
undisturbed "a policy changed" "both use version 2, without a restart"

under_load
change_meals 's/^max = "75.00"$/max = "75,00"/' meals.toml
until_so 120 "an invalid policy" each_says /readyz stale
each_says /readyz 'meals.toml' && each_says /v1/policies '"category":"meals","version":"2"' || fail "an invalid policy" "$(load ask "$AGENT/readyz")"
SAID=$(load ask "$AGENT/readyz" | grep -o 'stale: [^}]*"')
change_meals 's/^version = "1"$/version = "3"/' meals.toml
until_so 120 "an invalid policy" each_says /v1/policies '"category":"meals","version":"3"'
undisturbed "an invalid policy" "both rejected it, stayed ready with version 2 and said $SAID; then version 3"

under_load
change_meals 's/^version = "1"$/version = "acme"/; s/^id = "meals/id = "acme-meals/' acme-meals.toml
k patch deployment expense-agent --type json -p '[{"op": "add", "path": "/spec/template/spec/volumes/0/configMap/items/-",
  "value": {"key": "acme-meals.toml", "path": "tenants/acme/meals.toml"}}]' >/dev/null
k rollout status deployment/expense-agent --timeout=300s >/dev/null
until_so 60 "a tenant's policy" are_ready 2
each_says /v1/policies '"category":"meals","version":"acme"' tenant.id=acme && each_says /v1/policies '"category":"meals","version":"3"' \
  || fail "a tenant's policy" "$(load ask "$AGENT/v1/policies" "" tenant.id=acme)"
undisturbed "a tenant's policy" "the key acme-meals.toml is tenants/acme/meals.toml, and holds for acme only"

under_load
k scale deployment/jaeger --replicas=0 >/dev/null
k wait --for=delete pod -l app.kubernetes.io/name=jaeger --timeout=60s >/dev/null
read -r GONE _ <<<"$(load report 0)"
sleep 20
k scale deployment/jaeger --replicas=1 >/dev/null
k rollout status deployment/jaeger --timeout=120s >/dev/null
# Traces of decisions made while Jaeger was gone arrive, or are counted as dropped.
read -r BACK _ <<<"$(load report 0)"
until_so 120 "Jaeger gone" queues_are_short
read -r STARTED_SPANS EXPORTED DROPPED _ <<<"$(load spans $(addresses))"
read -r FOUND ASKED <<<"$(load traces "$GONE" "$BACK" "$JAEGER")"
[ "$FOUND" = "$ASKED" ] || [ "$DROPPED" -gt 0 ] || fail "Jaeger gone" "$((ASKED - FOUND)) of $ASKED traces are lost, and none is counted as dropped"
undisturbed "Jaeger gone and back" "it has $FOUND of the $ASKED traces from meanwhile; of $STARTED_SPANS spans $DROPPED dropped, $EXPORTED exported, the rest in flight"

under_load
RESTARTS=$(restarts)
k scale statefulset/expense-agent-postgres --replicas=0 >/dev/null
k wait --for=delete pod/expense-agent-postgres-0 --timeout=90s >/dev/null
until_so 60 "Postgres gone" are_ready 0
for address in $(addresses); do
  SAID=$(load ask "http://$address:8000/v1/expenses" '{"transaction": "Printer paper", "amount": "0.01"}')
  [[ $SAID == "503 "[0-9]*ledger_unavailable* ]] || fail "Postgres gone" "$SAID"
done
k scale statefulset/expense-agent-postgres --replicas=1 >/dev/null
until_so 180 "Postgres gone" are_ready 2
sleep 5
read -r N N_FAILED REASONS <<<"$(load report "$FROM")"
[ "$N" -ge "$RATE" ] || fail "Postgres gone and back" "only $N requests were answered"
saw "Postgres gone and back" "both answered 503 ledger_unavailable with Retry-After, none was ready; both ready again without a restart; $N requests, $N_FAILED of them answered on another try ($REASONS)"
[ "$(restarts)" = "$RESTARTS" ] || fail "Postgres gone and back" "pods were restarted"

read -r APPROVED DENIED <<<"$(load race $(addresses | sed 's|.*|http://&:8000|'))"
[ "$APPROVED" = 7 ] && [ "$DENIED" = 13 ] || fail "two replicas at one day cap" "$APPROVED approved, $DENIED denied"
saw "two replicas at one day cap" "20 meals of 10.00 at once under 75.00 a day: $APPROVED approved, $DENIED denied"

# ---- No answered decision is lost

k exec rehearsal-load -- python3 -c 'open("/tmp/stop", "w")'
until_so 120 "the load" k exec rehearsal-load -- python3 -c 'open("/tmp/stopped")'
read -r ANSWERED LOST UNKNOWN <<<"$(load compare "$AGENT")"
[ "$LOST" = 0 ] && [ "$UNKNOWN" = 0 ] || fail "the ledger" "of $ANSWERED answered decisions $LOST are lost; $UNKNOWN recorded ones were never answered"
saw "the ledger" "has each of $ANSWERED answered decisions once, and no others of the load"
VERIFIED=$(k exec deployment/expense-agent -- /usr/local/bin/expense-agent ledger verify) || fail "ledger verify" "$VERIFIED"
saw "ledger verify" "$VERIFIED"
