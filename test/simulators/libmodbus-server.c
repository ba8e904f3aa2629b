// A Modbus server of another make: libmodbus. Serves words, given as "address word" lines on stdin, as holding and as
// input registers. Usage: libmodbus-server PORT
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { REGISTERS = 1000 };

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
  modbus_mapping_t *map = modbus_mapping_new(0, 0, REGISTERS, REGISTERS);
  unsigned address, word;
  while (scanf("%u %u", &address, &word) == 2 && address < REGISTERS) {
    map->tab_registers[address] = map->tab_input_registers[address] = (uint16_t)word;
  }
  int listener = modbus_tcp_listen(context, 1);
  if (listener < 0) return 1;
  for (;;) {
    if (modbus_tcp_accept(context, &listener) < 0) return 1;
    uint8_t request[MODBUS_TCP_MAX_ADU_LENGTH];
    for (int length; (length = modbus_receive(context, request)) >= 0;) modbus_reply(context, request, length, map);
  }
}
