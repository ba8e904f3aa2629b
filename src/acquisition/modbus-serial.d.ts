// modbus-serial ships no types for this file of its own.
declare module 'modbus-serial/utils/crc16.js' {
  /** CRC-16/MODBUS of `buffer`. */
  export default function crc16(buffer: Uint8Array): number;
}
