// What Renode lacks of the ESP32-C3 (ESP32-C3 Technical Reference Manual 1.3): a UART that tells how many bytes it has
// received (24; Renode's own ESP32_UART always says none), and the reset by software (12.4, RTC_CNTL_OPTIONS0).
using Antmicro.Renode.Core;
using Antmicro.Renode.Peripherals.Bus;
using Antmicro.Renode.Peripherals.UART;

namespace Antmicro.Renode.Peripherals.Stapes
{
    public class ESP32C3_UART : UARTBase, IDoubleWordPeripheral, IKnownSize
    {
        public ESP32C3_UART(IMachine machine) : base(machine)
        {
        }

        public uint ReadDoubleWord(long offset)
        {
            byte received;
            switch(offset)
            {
            case Fifo:
                return TryGetCharacter(out received) ? received : 0u;
            case Status:
                return (uint)(Count < Largest ? Count : Largest);
            default:
                return 0;
            }
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(offset == Fifo)
            {
                TransmitCharacter((byte)value);
            }
        }

        public long Size => 0x1000;

        public override Bits StopBits => Bits.One;

        public override Parity ParityBit => Parity.None;

        public override uint BaudRate => 115200;

        protected override void CharWritten()
        {
        }

        protected override void QueueEmptied()
        {
        }

        private const int Largest = 0x3FF;
        private const long Fifo = 0x00;
        private const long Status = 0x1C;
    }

    public class ESP32C3_RTC : IDoubleWordPeripheral, IKnownSize
    {
        public ESP32C3_RTC(IMachine machine)
        {
            this.machine = machine;
        }

        public void Reset()
        {
        }

        public uint ReadDoubleWord(long offset)
        {
            return offset == ResetState ? BySoftware : 0;
        }

        public void WriteDoubleWord(long offset, uint value)
        {
            if(offset == Options && (value & SystemReset) != 0)
            {
                machine.RequestReset();
            }
        }

        public long Size => 0x800;

        private readonly IMachine machine;

        private const long Options = 0x00;
        private const long ResetState = 0x38;
        private const uint SystemReset = 1u << 31;
        private const uint BySoftware = 3;
    }
}
