/**
 * An importer keeps the buffer where it is, and maps it for its device (drivers/dma-buf/dma-buf.c; B-10..B-18). For who
 * cannot follow a move, a mapping is a pin.
 */
import {
  type Block,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  returns,
} from '../machine.ts';
import {
  attachmentRow,
  MOST_COUNTED,
  bufRow,
  convention,
  exporter_op,
  isPinnedBy,
  of_attachment,
  onAttachment,
  onBuf,
  passOn,
} from './dma-buf.ts';
import { call, if_ret, if_var, return_, set } from './flow.ts';
import { dma_resv_lock, dma_resv_unlock } from './resv.ts';
import { dma_resv_wait_interruptible } from './resv-wait.ts';

const pin_checks = instruction('dma_buf_pin', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_pin(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, dynamic } = attachmentRow(kernel, attach);
    if (!dynamic) complain(kernel, me, 'B-10', `${me} pins ${buf} through ${attach}, which is a static importer`);
    convention(kernel, me, buf, 'dma_buf_pin', 'B-10', 'held');
  },
});
/**
 * The exporter's pin op has returned: from here it may not move the buffer (B-11, B-12). More pins than can be counted are
 * those of a user space that may pin as much as it likes (B-10). True when it counts.
 */
function pinned(kernel: KernelState, me: string, buf: string): boolean {
  const row = bufRow(kernel, buf);
  if (row.moving) complain(kernel, me, 'B-11', `${buf} is pinned before its move is over`);
  if (row.pins === MOST_COUNTED) {
    complain(kernel, me, 'B-10', `${me} pins ${buf}, which has ${MOST_COUNTED} pins already, and nothing limits them`);
    return false;
  }
  row.pins += 1;
  return true;
}
const pin_counts = instruction('dma_buf_pin_counts', (attach: string) => ({ attach }), {
  text: ({ attach }) => `/* ${attach} pins the buffer */`,
  local: true,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const row = attachmentRow(kernel, attach);
    if (pinned(kernel, me, row.buf)) row.pins += 1;
  },
});
/** Keep it where it is, for long-term use such as scan-out: dynamic importers only, reservation held (B-10). */
export const dma_buf_pin = (attach: string): Block => [call('dma_buf_pin', { attach })];
/** Has anybody pinned it, or mapped it for a device that cannot follow? ret '1' or '0': then it stays where it is (B-12). */
export const dma_buf_is_pinned = instruction('dma_buf_is_pinned', (buf: string) => ({ buf }), {
  text: ({ buf }) => `${buf}->pin_count > 0`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'a look at the pins', 'B-12', 'held');
    returns(kernel, me, bufRow(kernel, buf).pins > 0 ? '1' : '0');
  },
});
const unpin_checks = instruction('dma_buf_unpin', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_unpin(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const row = attachmentRow(kernel, attach);
    if (!row.dynamic) complain(kernel, me, 'B-10', `${me} unpins ${row.buf} through ${attach}, a static importer`);
    convention(kernel, me, row.buf, 'dma_buf_unpin', 'B-10', 'held');
    if (row.pins === 0) complain(kernel, me, 'B-12', `${me} unpins ${row.buf}, which ${attach} does not pin`);
    else {
      row.pins -= 1;
      bufRow(kernel, row.buf).pins -= 1;
    }
  },
});
export const dma_buf_unpin = (attach: string): Block => [call('dma_buf_unpin', { attach })];

/** What is to be done: 'cached' when the table is there already, 'pin' first, '0', or an error (B-13, B-18). */
const map_checks = instruction('dma_buf_map_attachment', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_map_attachment(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, attached, cached } = attachmentRow(kernel, attach);
    convention(kernel, me, buf, 'dma_buf_map_attachment', 'B-13', 'held');
    if (!attached) complain(kernel, me, 'B-13', `${me} maps ${attach}, which is not attached`);
    if (bufRow(kernel, buf).revoked) returns(kernel, me, '-ENODEV');
    else returns(kernel, me, cached ? 'cached' : isPinnedBy(kernel, attach) ? 'pin' : '0');
  },
});
const map_pinned = instruction('dma_buf_map_pinned', (attach: string) => ({ attach }), {
  text: ({ attach }) => `/* the mapping of ${attach} pins the buffer */`,
  local: true,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { ret } = kernel.threads[me] as Thread;
    const { buf } = attachmentRow(kernel, attach);
    if (ret === '0') pinned(kernel, me, buf);
    else if (ret === '-EBUSY')
      complain(kernel, me, 'B-13', `the exporter of ${buf} made it unreachable for ${attach}, which is attached`);
  },
});
const mapped = instruction('dma_buf_mapped', (attach: string) => ({ attach }), {
  text: ({ attach }) => `return ${attach}->sgt`,
  local: true,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    Object.assign(attachmentRow(kernel, attach), { mapping: 'current', notified: false, stale: false });
    returns(kernel, me, '0');
  },
});
const unpinned = instruction('dma_buf_map_unpinned', (attach: string) => ({ attach }), {
  text: ({ attach }) => `/* the mapping of ${attach} pins the buffer no more */`,
  local: true,
  touches: onAttachment,
  run: (kernel, _me, { attach }) => {
    const buf = bufRow(kernel, attachmentRow(kernel, attach).buf);
    if (buf.pins > 0) buf.pins -= 1;
  },
});
const map_kind = instruction('dma_buf_map_kind', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_attachment_is_dynamic(${attach})`,
  local: true,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { dynamic } = attachmentRow(kernel, attach);
    returns(kernel, me, dynamic ? 'dynamic' : isPinnedBy(kernel, attach) ? 'pinned' : 'static');
  },
});
/**
 * Map for the device, reservation held: ret '0', or why not. A static importer pins and then waits for the moves under
 * way, for ever, while it holds the reservation; a dynamic one must wait itself (B-13, B-14).
 */
export const dma_buf_map_attachment = (attach: string): Block => [call('dma_buf_map_attachment', { attach })];
const unmap_checks = instruction('dma_buf_unmap_attachment', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_unmap_attachment(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const row = attachmentRow(kernel, attach);
    convention(kernel, me, row.buf, 'dma_buf_unmap_attachment', 'B-15', 'held');
    if (row.mapping === 'none') complain(kernel, me, 'B-15', `${me} unmaps ${attach}, which is not mapped`);
    returns(kernel, me, row.cached ? 'cached' : row.mapping === 'none' ? 'none' : '0');
    if (!row.cached) Object.assign(row, { mapping: 'none', notified: false, stale: false });
  },
});
export const dma_buf_unmap_attachment = (attach: string): Block => [call('dma_buf_unmap_attachment', { attach })];
/** The same for who does not hold the reservation: it is locked around the call (B-16). */
export const dma_buf_map_attachment_unlocked = (attach: string): Block => [
  call('dma_buf_map_attachment_unlocked', { attach }),
];
export const dma_buf_unmap_attachment_unlocked = (attach: string): Block => [
  call('dma_buf_unmap_attachment_unlocked', { attach }),
];

const underResv = (body: Block): Block => [
  of_attachment('$attach'),
  dma_resv_lock('$resv'),
  body,
  set('ret', 'ret'),
  dma_resv_unlock('$resv'),
  return_('$ret'),
];

export const dmaBufMap: KernelObject = {
  ops: [
    pin_checks,
    pin_counts,
    dma_buf_is_pinned,
    unpin_checks,
    map_checks,
    map_pinned,
    mapped,
    unpinned,
    map_kind,
    unmap_checks,
  ],
  routines: {
    dma_buf_pin: [
      of_attachment('$attach'),
      pin_checks('$attach'),
      exporter_op('$buf', 'pin', '$attach'),
      if_ret('0', [pin_counts('$attach')]),
      return_('ret'),
    ],
    dma_buf_unpin: [
      of_attachment('$attach'),
      unpin_checks('$attach'),
      exporter_op('$buf', 'unpin', '$attach'),
      return_('0'),
    ],
    dma_buf_map_attachment: [
      of_attachment('$attach'),
      set('pins', 'no'),
      map_checks('$attach'),
      passOn('-ENODEV'),
      if_ret('cached', [return_('0')]),
      if_ret('pin', [
        set('pins', 'yes'),
        exporter_op('$buf', 'pin', '$attach'),
        map_pinned('$attach'),
        if_ret('0', [], [return_('ret')]),
      ]),
      exporter_op('$buf', 'map', '$attach'),
      if_ret('0', [
        map_kind('$attach'),
        if_ret(['static', 'pinned'], [dma_resv_wait_interruptible('$resv', 'KERNEL')]),
      ]),
      if_ret(['0', 'dynamic'], [mapped('$attach'), return_('0')]),
      set('error', 'ret'),
      if_ret('-ERESTARTSYS', [exporter_op('$buf', 'unmap', '$attach')]),
      if_var('pins', 'yes', [exporter_op('$buf', 'unpin', '$attach'), unpinned('$attach')]),
      return_('$error'),
    ],
    dma_buf_unmap_attachment: [
      of_attachment('$attach'),
      unmap_checks('$attach'),
      if_ret(['cached', 'none'], [return_('0')]),
      exporter_op('$buf', 'unmap', '$attach'),
      map_kind('$attach'),
      if_ret('pinned', [exporter_op('$buf', 'unpin', '$attach'), unpinned('$attach')]),
      return_('0'),
    ],
    dma_buf_map_attachment_unlocked: underResv([call('dma_buf_map_attachment', { attach: '$attach' })]),
    dma_buf_unmap_attachment_unlocked: underResv([call('dma_buf_unmap_attachment', { attach: '$attach' })]),
  },
};
