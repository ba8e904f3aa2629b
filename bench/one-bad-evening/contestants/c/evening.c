// The floor of the bench: the least that a C program can do for the job (JOB.md). Reads each meter in turn (libmodbus),
// compares, keeps the transition durably (SQLite, WAL, synchronous=FULL), publishes at QoS 1 (libmosquitto, whose queue
// in memory is all there is when the broker is away). No quality, no state over a restart, no expiry.
#include <errno.h>
#include <math.h>
#include <modbus.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_CURRENT = 6, PHASES = 3, WORDS = 2 * PHASES, FEEDERS_MAX = 64, RETRY_S = 1 };

struct feeder {
  int port;
  modbus_t *meter;
  bool connected, limited;
  time_t retry_at;
};

static struct feeder feeders[FEEDERS_MAX];
static int feeder_count;
static double pickup_a, dropout_a;
static long timeout_ms, lease_s;
static long long sequence;
static sqlite3_stmt *insert;
static struct mosquitto *broker;

static void stop(const char *what) {
  fprintf(stderr, "evening: %s\n", what);
  exit(1);
}

static const char *given(const char *name) {
  const char *value = getenv(name);
  if (value == NULL) stop(name);
  return value;
}

static time_t now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

/** Not clock_nanosleep to a moment of the monotonic clock: libfaketime gets that wrong. */
static void sleep_until(struct timespec when) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long left_ns = (when.tv_sec - now.tv_sec) * 1000000000LL + when.tv_nsec - now.tv_nsec;
  if (left_ns <= 0) return;
  const struct timespec left = {left_ns / 1000000000, left_ns % 1000000000};
  nanosleep(&left, NULL);
}

static void open_outbox(const char *folder) {
  char path[512];
  sqlite3 *database;
  snprintf(path, sizeof path, "%s/outbox.db", folder);
  const char *setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, body TEXT)";
  if (sqlite3_open(path, &database) != SQLITE_OK || sqlite3_exec(database, setup, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(database, "INSERT INTO outbox (body) VALUES (?)", -1, &insert, NULL) != SQLITE_OK) {
    stop(sqlite3_errmsg(database));
  }
}

static bool connected(struct feeder *feeder) {
  if (feeder->connected) return true;
  if (now_s() < feeder->retry_at) return false;
  if (modbus_connect(feeder->meter) != 0) {
    feeder->retry_at = now_s() + RETRY_S;
    return false;
  }
  const int one = 1;
  setsockopt(modbus_get_socket(feeder->meter), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  return feeder->connected = true;
}

static float highest(const uint16_t *words) {
  float worst = 0;
  for (int phase = 0; phase < PHASES; phase++) {
    const uint32_t bits = (uint32_t)words[2 * phase] << 16 | words[2 * phase + 1];
    float current;
    memcpy(&current, &bits, sizeof current);
    if (!(current <= worst)) worst = current;
  }
  return worst;
}

static void stamp(char *text, size_t size, struct timespec when) {
  struct tm parts;
  gmtime_r(&when.tv_sec, &parts);
  const size_t length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + length, size - length, ".%03ldZ", when.tv_nsec / 1000000);
}

static void say(int number, const struct feeder *feeder, float current_a) {
  char body[320], topic[64], at[32], until[32];
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  stamp(at, sizeof at, now);
  now.tv_sec += lease_s;
  stamp(until, sizeof until, now);
  sequence++;
  const int length = snprintf(
      body, sizeof body,
      "{\"id\":\"c-%lld\",\"sequence\":%lld,\"feeder\":\"F%d\",\"action\":\"%s\",\"currentA\":%.2f,\"at\":\"%s\",\"validUntil\":\"%s\"}",
      sequence, sequence, number, feeder->limited ? "limit" : "release", current_a, at, until);
  sqlite3_bind_text(insert, 1, body, length, SQLITE_STATIC);
  if (sqlite3_step(insert) != SQLITE_DONE) fprintf(stderr, "evening: the request could not be kept\n");
  sqlite3_reset(insert);
  snprintf(topic, sizeof topic, "evening/F%d/request", number);
  mosquitto_publish(broker, NULL, topic, length, body, 1, false);
}

static void read_meter(int number, struct feeder *feeder) {
  uint16_t words[WORDS];
  if (!connected(feeder)) return;
  if (modbus_read_input_registers(feeder->meter, FIRST_CURRENT, WORDS, words) != WORDS) {
    // An exception is an answer; anything else ends the connection.
    if (errno > MODBUS_ENOBASE && errno < EMBBADCRC) return;
    modbus_close(feeder->meter);
    feeder->connected = false;
    return;
  }
  const float worst_a = highest(words);
  const bool wanted = feeder->limited ? worst_a >= dropout_a : worst_a >= pickup_a;
  if (wanted == feeder->limited) return;
  feeder->limited = wanted;
  say(number, feeder, worst_a);
}

/** Until the broker is there for the first time the library does not try again by itself. */
static void *talk(void *port) {
  while (mosquitto_connect(broker, "127.0.0.1", *(int *)port, 60) != MOSQ_ERR_SUCCESS) sleep(RETRY_S);
  mosquitto_loop_forever(broker, -1, 1);
  return NULL;
}

static void open_meters(void) {
  char *list = strdup(given("EVENING_METERS"));
  for (char *port = strtok(list, ","); port != NULL && feeder_count < FEEDERS_MAX; port = strtok(NULL, ",")) {
    struct feeder *feeder = &feeders[feeder_count++];
    feeder->port = atoi(port);
    feeder->meter = modbus_new_tcp("127.0.0.1", feeder->port);
    if (feeder->meter == NULL) stop("no memory");
    modbus_set_slave(feeder->meter, 1);
    modbus_set_response_timeout(feeder->meter, timeout_ms / 1000, timeout_ms % 1000 * 1000);
  }
  free(list);
}

int main(void) {
  const long poll_ns = atol(given("EVENING_POLL_MS")) * 1000000;
  pickup_a = atof(given("EVENING_PICKUP_A"));
  dropout_a = atof(given("EVENING_DROPOUT_A"));
  timeout_ms = atol(given("EVENING_TIMEOUT_MS"));
  lease_s = atol(given("EVENING_LEASE_S"));
  sequence = (long long)time(NULL) * 1000;
  open_meters();
  open_outbox(given("EVENING_FOLDER"));
  mosquitto_lib_init();
  broker = mosquitto_new(NULL, true, NULL);
  if (broker == NULL) stop("no memory");
  mosquitto_int_option(broker, MOSQ_OPT_TCP_NODELAY, 1);
  mosquitto_reconnect_delay_set(broker, 1, 10, true);
  mosquitto_threaded_set(broker, true);
  int port = atoi(given("EVENING_BROKER"));
  pthread_t talker;
  if (pthread_create(&talker, NULL, talk, &port) != 0) stop("no thread");

  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (;;) {
    for (int index = 0; index < feeder_count; index++) read_meter(index + 1, &feeders[index]);
    next.tv_sec += poll_ns / 1000000000;
    next.tv_nsec += poll_ns % 1000000000;
    if (next.tv_nsec >= 1000000000) {
      next.tv_nsec -= 1000000000;
      next.tv_sec++;
    }
    sleep_until(next);
  }
}
