// The probe: a meter (Modbus TCP server with the map of an SDM630: function code 4, float32, high word first, L1 to
// L3 at 6, 8, 10, the neutral at 224) and an MQTT subscriber in one process, so that both ends have one clock.
// It steps the current over and under the threshold and measures, for every step up, the time from the first response
// that carries the overload to the arrival of the first limit: a PUBLISH on the topic filter that is not retained and
// whose payload holds "action":"limit" (a release of the step before is no answer). One line of JSON on stdout.
// Usage: probe MODBUS_PORT MQTT_PORT TOPIC_FILTER STEPS LOW_A HIGH_A HOLD_MS REST_MS
//   HOLD_MS: how long a limit is waited for; REST_MS: from the first read of LOW_A to the next step (up to 30 % more)
// It says `listening` on stderr when the meter answers, and exits 1 when a step brought no limit.
#define _GNU_SOURCE // memmem
#include <modbus.h>
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FIRST_CURRENT = 6, NEUTRAL = 224, REGISTERS = 512, WARM_READS = 100, GIVE_UP_S = 60 };

/** What a step is waiting for. */
enum stage { LOW_TO_BE_READ, LOW_READ, OVERLOAD_TO_BE_READ, LIMIT_TO_ARRIVE, LIMIT_ARRIVED };

// All of it under `lock`.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum stage stage = LOW_TO_BE_READ;
static float current_a;
static double read_at, arrived_at;
static long reads, limits;
static bool subscribed;

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec + now.tv_nsec / 1e9;
}

static void sleep_ms(double ms) {
  const struct timespec time = {(time_t)(ms / 1000), (long)(ms * 1e6) % 1000000000};
  nanosleep(&time, NULL);
}

static void stop(const char *what) {
  fprintf(stderr, "probe: %s\n", what);
  exit(2);
}

// The subscriber.

static bool holds(const struct mosquitto_message *message, const char *text) {
  return message->payload != NULL && memmem(message->payload, message->payloadlen, text, strlen(text)) != NULL;
}

static void on_message(struct mosquitto *broker, void *filter, const struct mosquitto_message *message) {
  (void)broker, (void)filter;
  const double now = now_s();
  if (message->retain) return;
  if (!holds(message, "\"action\":\"limit\"") && !holds(message, "\"action\": \"limit\"")) return;
  pthread_mutex_lock(&lock);
  limits++;
  if (stage == LIMIT_TO_ARRIVE) {
    arrived_at = now;
    stage = LIMIT_ARRIVED;
    pthread_cond_signal(&changed);
  }
  pthread_mutex_unlock(&lock);
}

static void on_connect(struct mosquitto *broker, void *filter, int refused) {
  if (!refused) mosquitto_subscribe(broker, NULL, filter, 1);
}

static void on_subscribe(struct mosquitto *broker, void *filter, int message, int count, const int *qos) {
  (void)broker, (void)filter, (void)message, (void)count, (void)qos;
  pthread_mutex_lock(&lock);
  subscribed = true;
  pthread_mutex_unlock(&lock);
}

static void subscribe(int port, char *filter) {
  mosquitto_lib_init();
  struct mosquitto *broker = mosquitto_new(NULL, true, filter);
  if (broker == NULL) stop("no memory");
  mosquitto_connect_callback_set(broker, on_connect);
  mosquitto_subscribe_callback_set(broker, on_subscribe);
  mosquitto_message_callback_set(broker, on_message);
  mosquitto_int_option(broker, MOSQ_OPT_TCP_NODELAY, 1);
  if (mosquitto_connect(broker, "127.0.0.1", port, 60) != MOSQ_ERR_SUCCESS) stop("no broker");
  mosquitto_loop_start(broker);
}

// The meter.

struct meter {
  modbus_t *context;
  modbus_mapping_t *map;
  int listener;
};

static void put(uint16_t *words, float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  words[0] = bits >> 16;
  words[1] = bits & 0xffff;
}

/** Whether the request reads the current of L1: a read of the neutral alone carries no overload. */
static bool reads_current(const uint8_t *request, int length) {
  if (length < 12 || request[7] != MODBUS_FC_READ_INPUT_REGISTERS) return false;
  const int first = request[8] << 8 | request[9], count = request[10] << 8 | request[11];
  return first <= FIRST_CURRENT && first + count >= FIRST_CURRENT + 2;
}

static void answer(const struct meter *meter, const uint8_t *request, int length) {
  pthread_mutex_lock(&lock);
  const float current = current_a;
  const enum stage asked = stage;
  reads++;
  pthread_mutex_unlock(&lock);
  for (int phase = 0; phase < 3; phase++) {
    put(meter->map->tab_input_registers + 2 * phase, 240);
    put(meter->map->tab_input_registers + FIRST_CURRENT + 2 * phase, current - 0.25f * phase);
  }
  put(meter->map->tab_input_registers + NEUTRAL, 1);
  modbus_reply(meter->context, request, length, meter->map);
  const double now = now_s();
  if (!reads_current(request, length)) return;
  pthread_mutex_lock(&lock);
  if (stage == asked && stage == OVERLOAD_TO_BE_READ) {
    read_at = now;
    stage = LIMIT_TO_ARRIVE;
  } else if (stage == asked && stage == LOW_TO_BE_READ) {
    stage = LOW_READ;
    pthread_cond_signal(&changed);
  }
  pthread_mutex_unlock(&lock);
}

static void *serve(void *argument) {
  const struct meter *meter = argument;
  fd_set open;
  FD_ZERO(&open);
  FD_SET(meter->listener, &open);
  int last = meter->listener;
  for (;;) {
    fd_set ready = open;
    if (select(last + 1, &ready, NULL, NULL, NULL) < 0) continue;
    for (int socket = 0; socket <= last; socket++) {
      if (!FD_ISSET(socket, &ready)) continue;
      if (socket == meter->listener) {
        const int client = accept(socket, NULL, NULL), one = 1;
        if (client < 0) continue;
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        FD_SET(client, &open);
        if (client > last) last = client;
        continue;
      }
      uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
      modbus_set_socket(meter->context, socket);
      const int length = modbus_receive(meter->context, request);
      if (length > 0) answer(meter, request, length);
      if (length < 0) {
        close(socket);
        FD_CLR(socket, &open);
      }
    }
  }
  return NULL;
}

static void start_meter(int port) {
  static struct meter meter;
  meter.context = modbus_new_tcp("127.0.0.1", port);
  meter.map = modbus_mapping_new(0, 0, 0, REGISTERS);
  meter.listener = meter.context == NULL ? -1 : modbus_tcp_listen(meter.context, 16);
  if (meter.map == NULL || meter.listener < 0) stop("the meter cannot listen");
  pthread_t thread;
  if (pthread_create(&thread, NULL, serve, &meter) != 0) stop("no thread");
  fprintf(stderr, "listening\n");
}

// The steps.

static void wait_for_reader(void) {
  const double give_up_at = now_s() + GIVE_UP_S;
  bool warm;
  do {
    sleep_ms(50);
    pthread_mutex_lock(&lock);
    warm = subscribed && reads >= WARM_READS;
    pthread_mutex_unlock(&lock);
    if (now_s() > give_up_at) stop("nothing reads the meter");
  } while (!warm);
  sleep_ms(2000);
}

/** With `lock` held; false when the stage did not come within this time. */
static bool wait_for(enum stage wanted, double ms) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  const long ns = until.tv_nsec + (long)(ms * 1e6) % 1000000000;
  until.tv_sec += (time_t)(ms / 1000) + ns / 1000000000;
  until.tv_nsec = ns % 1000000000;
  while (stage != wanted && pthread_cond_timedwait(&changed, &lock, &until) == 0) continue;
  return stage == wanted;
}

/** One step up and down; whether a limit arrived, with the reaction and the whole time from the step in seconds. */
static bool step(float low, float high, double hold_ms, double *reaction, double *whole) {
  pthread_mutex_lock(&lock);
  current_a = high;
  stage = OVERLOAD_TO_BE_READ;
  const double stepped_at = now_s();
  const bool got = wait_for(LIMIT_ARRIVED, hold_ms);
  if (got) {
    *reaction = arrived_at - read_at;
    *whole = arrived_at - stepped_at;
  }
  current_a = low;
  stage = LOW_TO_BE_READ;
  // A reader that a stalled disk keeps from seeing the low current at all would have nothing new at the next step.
  if (!wait_for(LOW_READ, GIVE_UP_S * 1e3)) stop("nothing reads the meter any more");
  pthread_mutex_unlock(&lock);
  return got;
}

static int ascending(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_times(const char *name, double *seconds, int count) {
  qsort(seconds, count, sizeof *seconds, ascending);
  const double *s = seconds;
  if (count == 0) {
    printf(",\"%s\":null", name);
    return;
  }
  printf(",\"%s\":{\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"max\":%.3f}", name, s[count / 2] * 1e3,
         s[(int)(count * .9)] * 1e3, s[(int)(count * .99)] * 1e3, s[count - 1] * 1e3);
}

int main(int count, char **arguments) {
  if (count != 9) {
    fprintf(stderr, "usage: probe MODBUS_PORT MQTT_PORT TOPIC_FILTER STEPS LOW_A HIGH_A HOLD_MS REST_MS\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  const int steps = atoi(arguments[4]);
  const float low = atof(arguments[5]), high = atof(arguments[6]);
  const double hold_ms = atof(arguments[7]), rest_ms = atof(arguments[8]);
  double *reactions = calloc(steps, sizeof *reactions), *wholes = calloc(steps, sizeof *wholes);
  if (reactions == NULL || wholes == NULL) stop("no memory");
  current_a = low;
  subscribe(atoi(arguments[2]), arguments[3]);
  start_meter(atoi(arguments[1]));
  wait_for_reader();
  srand(1);
  int done = 0;
  for (int i = 0; i < steps; i++) {
    // At random against the poll, and the same series in every run.
    sleep_ms(rest_ms * (1 + 0.3 * rand() / RAND_MAX));
    if (step(low, high, hold_ms, &reactions[done], &wholes[done])) done++;
  }
  pthread_mutex_lock(&lock);
  printf("{\"steps\":%d,\"missed\":%d,\"reads\":%ld,\"limits\":%ld", steps, steps - done, reads, limits);
  pthread_mutex_unlock(&lock);
  print_times("reactionMs", reactions, done);
  print_times("stepToLimitMs", wholes, done);
  printf("}\n");
  return done < steps;
}
