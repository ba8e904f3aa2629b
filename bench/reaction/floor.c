// The floor: the least that a C program can do for the same job. At every poll: read three phase currents (libmodbus),
// compare the highest with a pickup and a dropout, and on a change insert the request durably (SQLite, WAL,
// synchronous=FULL) and then publish it at QoS 1 (libmosquitto). No quality, delay, lease, acknowledgement or journal.
// Usage: floor MODBUS_PORT MQTT_PORT POLL_MS PICKUP_A DROPOUT_A DATABASE
#include <modbus.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FIRST_CURRENT = 6, PHASES = 3, WORDS = 2 * PHASES };

static void stop(const char *what) {
  fprintf(stderr, "floor: %s\n", what);
  exit(1);
}

static modbus_t *connect_meter(int port) {
  modbus_t *meter = modbus_new_tcp("127.0.0.1", port);
  if (meter == NULL || modbus_connect(meter) != 0) stop("no meter");
  const int one = 1;
  setsockopt(modbus_get_socket(meter), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  modbus_set_slave(meter, 1);
  return meter;
}

static sqlite3_stmt *open_outbox(const char *path, sqlite3 **database) {
  const char *setup = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, at REAL, body TEXT)";
  sqlite3_stmt *insert;
  if (sqlite3_open(path, database) != SQLITE_OK || sqlite3_exec(*database, setup, NULL, NULL, NULL) != SQLITE_OK ||
      sqlite3_prepare_v2(*database, "INSERT INTO outbox (at, body) VALUES (?, ?)", -1, &insert, NULL) != SQLITE_OK) {
    stop(sqlite3_errmsg(*database));
  }
  return insert;
}

static struct mosquitto *connect_broker(int port) {
  mosquitto_lib_init();
  struct mosquitto *broker = mosquitto_new(NULL, true, NULL);
  if (broker == NULL) stop("no memory");
  mosquitto_int_option(broker, MOSQ_OPT_TCP_NODELAY, 1);
  if (mosquitto_connect(broker, "127.0.0.1", port, 60) != MOSQ_ERR_SUCCESS) stop("no broker");
  mosquitto_loop_start(broker);
  return broker;
}

static float highest(const uint16_t *words) {
  float worst = 0;
  for (int phase = 0; phase < PHASES; phase++) {
    const uint32_t bits = (uint32_t)words[2 * phase] << 16 | words[2 * phase + 1];
    float current;
    memcpy(&current, &bits, sizeof current);
    if (current > worst) worst = current;
  }
  return worst;
}

static void keep(sqlite3_stmt *insert, const char *body, int length) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  sqlite3_bind_double(insert, 1, now.tv_sec + now.tv_nsec / 1e9);
  sqlite3_bind_text(insert, 2, body, length, SQLITE_STATIC);
  if (sqlite3_step(insert) != SQLITE_DONE) stop("the request could not be kept");
  sqlite3_reset(insert);
}

int main(int count, char **arguments) {
  if (count != 7) {
    fprintf(stderr, "usage: floor MODBUS_PORT MQTT_PORT POLL_MS PICKUP_A DROPOUT_A DATABASE\n");
    return 2;
  }
  const long poll_ns = atol(arguments[3]) * 1000000;
  const double pickup_a = atof(arguments[4]), dropout_a = atof(arguments[5]);
  sqlite3 *database;
  modbus_t *meter = connect_meter(atoi(arguments[1]));
  sqlite3_stmt *insert = open_outbox(arguments[6], &database);
  struct mosquitto *broker = connect_broker(atoi(arguments[2]));

  bool limited = false;
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  for (;;) {
    uint16_t words[WORDS];
    const bool answered = modbus_read_input_registers(meter, FIRST_CURRENT, WORDS, words) == WORDS;
    const float worst = answered ? highest(words) : 0;
    const bool wanted = !answered ? limited : limited ? worst >= dropout_a : worst >= pickup_a;
    if (wanted != limited) {
      limited = wanted;
      char body[128];
      const int length = snprintf(body, sizeof body, "{\"feederId\":\"F1\",\"action\":\"%s\",\"currentA\":%.2f}",
                                  limited ? "limit" : "release", worst);
      keep(insert, body, length);
      mosquitto_publish(broker, NULL, "floor/curtailment", length, body, 1, false);
    }
    next.tv_nsec += poll_ns;
    while (next.tv_nsec >= 1000000000) {
      next.tv_nsec -= 1000000000;
      next.tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
  }
}
