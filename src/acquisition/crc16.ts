// The check of Modbus RTU frames. Modbus over Serial Line V1.02, 6.2.2: polynomial 0xA001, from 0xFFFF. Pure.

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0xa001 : crc >> 1;
  return crc;
});

/** Of the first `length` bytes; it goes over the line with its low byte first. */
export function crc16(bytes: Uint8Array, length: number): number {
  let crc = 0xffff;
  for (let index = 0; index < length; index++) crc = (crc >> 8) ^ (TABLE[(crc ^ (bytes[index] ?? 0)) & 0xff] as number);
  return crc;
}
