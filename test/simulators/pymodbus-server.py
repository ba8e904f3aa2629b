# A Modbus server of another make: pymodbus as Debian has it. Serves the words of a JSON file ({"address": word}) as
# holding and as input registers of unit 1; other units are silent. Usage: pymodbus-server.py tcp|rtu PORT FILE
# "rtu" puts RTU frames on TCP, as a device server does.
import asyncio
import json
import sys
import types

# The TCP server needs no serial port, but its module imports the drivers; Debian does not bring them along.
for driver in ("serial", "serial_asyncio"):
    sys.modules.setdefault(driver, types.ModuleType(driver))
sys.modules["serial_asyncio"].create_serial_connection = None

from pymodbus.datastore import ModbusServerContext, ModbusSlaveContext, ModbusSparseDataBlock
from pymodbus.server import StartAsyncTcpServer
from pymodbus.transaction import ModbusRtuFramer, ModbusSocketFramer

form, port, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
words = {int(address): word for address, word in json.load(open(file)).items()}
unit = ModbusSlaveContext(
    hr=ModbusSparseDataBlock(dict(words)), ir=ModbusSparseDataBlock(dict(words)), zero_mode=True
)
asyncio.run(
    StartAsyncTcpServer(
        context=ModbusServerContext(slaves={1: unit}, single=False),
        framer=ModbusRtuFramer if form == "rtu" else ModbusSocketFramer,
        address=("127.0.0.1", port),
        ignore_missing_slaves=True,
    )
)
