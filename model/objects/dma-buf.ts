/**
 * dma_buf: a buffer that several devices reach, and what exporter and importers owe each other (drivers/dma-buf/dma-buf.c,
 * include/linux/dma-buf.h; B-1..B-25, B-42, B-43).
 *
 * What decides is who may move the storage and who must hear of it. A static importer pins the buffer for as long as it
 * is mapped; a dynamic one is told before a move, and its mapping leads to the old place from then on. So a mapping has
 * four states: none, current, old (a move has begun; what was fenced before may still use it), gone.
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  instruction,
  note,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, int, maybe, name, oneOf, table } from '../schema.ts';
import { holds } from './context.ts';
import { call, if_ret, if_var, return_, set } from './flow.ts';
import { kmalloc } from './memory.ts';
import { dma_resv_lock, dma_resv_unlock, dma_resv_wait_interruptible } from './resv.ts';
import { newer } from './version.ts';

/** Pins, kernel mappings and references that a buffer can have; more is a design that never gives back (B-10). */
const MOST_COUNTED = 15;
/** What an exporter may implement; an empty name is an operation that it does not have (B-2). */
const exporterOps = {
  attach: fixedName('routines'),
  detach: fixedName('routines'),
  pin: fixedName('routines'),
  unpin: fixedName('routines'),
  map: fixedName('routines'),
  unmap: fixedName('routines'),
  begin_cpu_access: fixedName('routines'),
  end_cpu_access: fixedName('routines'),
  release: fixedName('routines'),
};
type ExporterOp = keyof typeof exporterOps;
const fields = {
  dma_bufs: table({
    /** The exporter's reservation, which other buffers may share, or one of its own (B-1, R-2). */
    resv: fixedName('resvs'),
    /** In pages, and constant (B-1). */
    size: constant<number>(1),
    ...exporterOps,
    refs: int(MOST_COUNTED),
    pins: int(MOST_COUNTED),
    vmaps: int(MOST_COUNTED),
    /** A move has begun: mappings lead to the new place, whose contents are not there yet. */
    moving: flag,
    /** The exporter took the storage away for good. */
    revoked: flag,
    /** The fences whose signals wake those who poll for reading and for writing (B-33). */
    poll_in: maybe(name('fences')),
    poll_out: maybe(name('fences')),
  }),
  attachments: table({
    buf: fixedName('dma_bufs'),
    /** It came with importer ops, and must have the callback then (B-5, B-6). */
    dynamic: constant<boolean>(false),
    /** The importer's move_notify, which newer kernels call invalidate_mappings (B-20). */
    invalidate: fixedName('routines'),
    attached: flag,
    pins: int(MOST_COUNTED),
    /** Mapped when it attached, and for as long as it is attached: older kernels only (B-18). */
    cached: flag,
    mapping: oneOf('none', 'current', 'old', 'gone'),
    notified: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type BufRow = Kept<typeof fields>['dma_bufs'][string];
type AttachmentRow = Kept<typeof fields>['attachments'][string];

export const bufRow = (kernel: KernelState, buf: string): BufRow => kernel.dma_bufs[buf] as BufRow;
const attachmentRow = (kernel: KernelState, attach: string): AttachmentRow =>
  kernel.attachments[attach] as AttachmentRow;
export const onBuf = ({ buf }: { buf: string }): [['dma_bufs', string]] => [['dma_bufs', buf]];
const onAttachment = ({ attach }: { attach: string }): [['attachments', string]] => [['attachments', attach]];
const complain = (kernel: KernelState, me: string, rule: string, what: string): void =>
  note(kernel, me, { kind: 'misuse', rule, what });
const attachmentsOf = (kernel: KernelState, buf: string): string[] =>
  Object.keys(kernel.attachments).filter((each) => attachmentRow(kernel, each).buf === buf);
/** Does the exporter move its buffers: has it a pin op (B-5)? */
const isDynamic = (kernel: KernelState, buf: string): boolean => bufRow(kernel, buf).pin !== '';
const isPinnedBy = (kernel: KernelState, attach: string): boolean =>
  !attachmentRow(kernel, attach).dynamic && isDynamic(kernel, attachmentRow(kernel, attach).buf);

/** Operations of an exporter that always succeed; `dynamic` gives it the pair that lets it move what is not pinned. */
export const exporter = (
  resv: string,
  ops: Partial<Record<ExporterOp, string>> & { readonly dynamic?: true; readonly size?: number } = {},
): Record<string, unknown> => {
  const { dynamic, ...given } = ops;
  const succeeds = 'exporter_succeeds';
  const pins = dynamic ? { pin: succeeds, unpin: succeeds } : {};
  return { resv, map: succeeds, unmap: succeeds, release: succeeds, ...pins, ...given };
};

/** The reservation must be held here, or must not be (10.9, B-43). */
export function convention(
  kernel: KernelState,
  me: string,
  buf: string,
  what: string,
  rule: string,
  must: 'held' | 'not held',
): void {
  const held = holds(kernel, me, bufRow(kernel, buf).resv);
  if (held !== (must === 'held'))
    complain(kernel, me, rule, `${what} on ${buf} ${held ? 'while' : 'without'} holding its reservation`);
}

const frameVars = (kernel: KernelState, me: string): Record<string, string> =>
  ((kernel.threads[me] as Thread).frames.at(-1) as Frame).vars;
/** Which buffer, which reservation: for the lines that follow in this routine. */
const of_attachment = instruction('dma_buf_of_attachment', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dmabuf = ${attach}->dmabuf`,
  local: true,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf } = attachmentRow(kernel, attach);
    Object.assign(frameVars(kernel, me), { buf, resv: bufRow(kernel, buf).resv });
  },
});
export const of_buf = instruction('dma_buf_of', (buf: string) => ({ buf }), {
  text: ({ buf }) => `resv = ${buf}->resv`,
  local: true,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    frameVars(kernel, me)['resv'] = bufRow(kernel, buf).resv;
  },
});
/** Call the exporter; an operation that it does not have returns 0. */
export const exporter_op = instruction(
  'dma_buf_exporter_op',
  (buf: string, hook: ExporterOp, attach: string = '') => ({ buf, hook, attach }),
  {
    text: ({ buf, hook }) => `${buf}->ops->${hook}()`,
    local: true,
    touches: onBuf,
    run: (kernel, me, { buf, hook, attach }) => {
      returns(kernel, me, '0');
      const routine = bufRow(kernel, buf)[hook];
      if (routine !== '') pushCall(kernel, me, routine, { buf, ...(attach === '' ? {} : { attach }) });
    },
  },
);

const export_checks = instruction('dma_buf_export', (buf: string) => ({ buf }), {
  text: ({ buf }) => `${buf} = dma_buf_export()`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'dma_buf_export', 'B-2', 'not held');
    const row = bufRow(kernel, buf);
    const lacks = row.map === '' || row.unmap === '' || row.release === '' || (row.pin === '') !== (row.unpin === '');
    if (lacks) complain(kernel, me, 'B-2', `${me} exports ${buf} without the operations that an exporter must have`);
    else row.refs = 1;
    returns(kernel, me, lacks ? '-EINVAL' : '0');
  },
});
/** Make it a buffer that others can import: ret '0', '-EINVAL' or '-ENOMEM' (B-2). */
export const dma_buf_export = (buf: string): Block => [kmalloc('GFP_KERNEL', buf), if_ret('0', [export_checks(buf)])];
/** One more reference, behind its descriptor: ret '0', or '-EBADF' when it is gone (B-3). */
export const dma_buf_get = instruction('dma_buf_get', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_get(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    const row = bufRow(kernel, buf);
    returns(kernel, me, row.refs === 0 ? '-EBADF' : '0');
    if (row.refs > 0) row.refs += 1;
  },
});
const put = instruction('dma_buf_put', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_put(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'dma_buf_put', 'B-3', 'not held');
    const row = bufRow(kernel, buf);
    if (row.refs === 0) complain(kernel, me, 'B-3', `${me} puts ${buf}, which is gone`);
    returns(kernel, me, row.refs === 1 ? 'last' : '0');
    if (row.refs > 0) row.refs -= 1;
  },
});
/** An armed poll holds the file, so the end comes after its callback: whoever put it stands for the file layer here (B-3, B-36). */
const release_checks = instruction('dma_buf_release', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_release(${buf})`,
  touches: onBuf,
  waits: (kernel, _me, { buf }) => {
    const { poll_in, poll_out } = bufRow(kernel, buf);
    const armed = [poll_in, poll_out].find((each) => each !== null);
    return armed
      ? { on: 'file', object: buf, owedBy: [], because: `somebody polls ${buf} until ${armed} signals`, idle: true }
      : undefined;
  },
  run: (kernel, me, { buf }) => {
    const { vmaps } = bufRow(kernel, buf);
    if (vmaps > 0) complain(kernel, me, 'B-4', `${buf} is released while the kernel has it mapped`);
    const left = attachmentsOf(kernel, buf).filter((each) => attachmentRow(kernel, each).attached);
    if (left.length > 0) complain(kernel, me, 'B-4', `${buf} is released while ${left.join(', ')} is attached`);
    returns(kernel, me, '0');
  },
});
/** Give a reference back; after the last one the exporter releases it, the reservation not held (B-3, B-4). */
export const dma_buf_put = (buf: string): Block => [
  put(buf),
  if_ret('last', [release_checks(buf), exporter_op(buf, 'release')]),
];

const attach_checks = instruction('dma_buf_attach', (attach: string) => ({ attach }), {
  text: ({ attach }) => `${attach} = dma_buf_attach()`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, dynamic, invalidate } = attachmentRow(kernel, attach);
    convention(kernel, me, buf, 'dma_buf_attach', 'B-6', 'not held');
    const lacks = dynamic && invalidate === '';
    if (lacks) complain(kernel, me, 'B-6', `${attach} is a dynamic importer without a callback for moves`);
    returns(kernel, me, lacks ? '-EINVAL' : '0');
  },
});
const attach_links = instruction('dma_buf_attach_links', (attach: string) => ({ attach }), {
  text: ({ attach }) => `list_add(${attach}, &dmabuf->attachments)`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    attachmentRow(kernel, attach).attached = true;
    const caches = isPinnedBy(kernel, attach) && !newer(kernel, 'static_attach_maps_on_map');
    returns(kernel, me, caches ? 'maps' : '0');
  },
});
const attach_caches = instruction('dma_buf_attach_caches', (attach: string) => ({ attach }), {
  text: ({ attach }) => `${attach}->sgt = sgt`,
  local: true,
  touches: onAttachment,
  run: (kernel, _me, { attach }) => {
    attachmentRow(kernel, attach).cached = true;
  },
});
/** Attach a device: ret '0', '-EINVAL', '-ENOMEM', or why the exporter refuses, such as '-EBUSY' (B-6). */
export const dma_buf_attach = (attach: string): Block => [call('dma_buf_attach', { attach })];

const detach_checks = instruction('dma_buf_detach', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_detach(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, attached, mapping, cached, pins } = attachmentRow(kernel, attach);
    convention(kernel, me, buf, 'dma_buf_detach', 'B-7', 'not held');
    if (!attached) complain(kernel, me, 'B-7', `${me} detaches ${attach}, which is not attached`);
    if (mapping !== 'none' && !cached) complain(kernel, me, 'B-7', `${me} detaches ${attach}, which is still mapped`);
    if (pins > 0) complain(kernel, me, 'B-12', `${me} detaches ${attach}, which still pins ${buf}`);
  },
});
const detach_unlinks = instruction('dma_buf_detach_unlinks', (attach: string) => ({ attach }), {
  text: ({ attach }) => `list_del(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const row = attachmentRow(kernel, attach);
    returns(kernel, me, row.cached ? 'maps' : '0');
    Object.assign(row, { attached: false, cached: false, notified: false });
  },
});
export const dma_buf_detach = (attach: string): Block => [call('dma_buf_detach', { attach })];

const pin_checks = instruction('dma_buf_pin', (attach: string) => ({ attach }), {
  text: ({ attach }) => `dma_buf_pin(${attach})`,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    const { buf, dynamic } = attachmentRow(kernel, attach);
    if (!dynamic) complain(kernel, me, 'B-10', `${me} pins ${buf} through ${attach}, which is a static importer`);
    convention(kernel, me, buf, 'dma_buf_pin', 'B-10', 'held');
  },
});
/** The exporter's pin op has returned: from here it may not move the buffer (B-11, B-12). */
function pinned(kernel: KernelState, me: string, buf: string): void {
  const row = bufRow(kernel, buf);
  if (row.moving) complain(kernel, me, 'B-11', `${buf} is pinned before its move is over`);
  row.pins += 1;
}
const pin_counts = instruction('dma_buf_pin_counts', (attach: string) => ({ attach }), {
  text: ({ attach }) => `/* ${attach} pins the buffer */`,
  local: true,
  touches: onAttachment,
  run: (kernel, me, { attach }) => {
    pinned(kernel, me, attachmentRow(kernel, attach).buf);
    attachmentRow(kernel, attach).pins += 1;
  },
});
/** Keep it where it is, for long-term use such as scan-out: dynamic importers only, reservation held (B-10). */
export const dma_buf_pin = (attach: string): Block => [call('dma_buf_pin', { attach })];
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
    Object.assign(attachmentRow(kernel, attach), { mapping: 'current', notified: false });
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
    if (!row.cached) Object.assign(row, { mapping: 'none', notified: false });
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

/** Tell every dynamic importer that its mapping will not do much longer; reservation held (B-20, B-42). */
export const dma_buf_move_notify = instruction('dma_buf_move_notify', (buf: string) => ({ buf }), {
  text: ({ buf }) => `dma_buf_move_notify(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    convention(kernel, me, buf, 'dma_buf_move_notify', 'B-42', 'held');
    for (const attach of attachmentsOf(kernel, buf).toReversed()) {
      const row = attachmentRow(kernel, attach);
      if (!row.attached || row.invalidate === '') continue;
      row.notified = row.mapping !== 'none';
      pushCall(kernel, me, row.invalidate, { attach, buf });
    }
  },
});
/**
 * The exporter decides to move it: new mappings lead to the new place, old ones must not be used by new work. From
 * here to dma_buf_finish_move the contents are on their way (B-12, B-20..B-24).
 */
export const dma_buf_begin_move = instruction('dma_buf_begin_move', (buf: string) => ({ buf }), {
  text: ({ buf }) => `move(${buf}) /* begins */`,
  touches: onBuf,
  run: (kernel, me, { buf }) => beginMove(kernel, me, buf, 'moves'),
});
function beginMove(kernel: KernelState, me: string, buf: string, verb: string): void {
  convention(kernel, me, buf, 'a move', 'B-24', 'held');
  const row = bufRow(kernel, buf);
  if (row.pins > 0) complain(kernel, me, 'B-12', `${me} ${verb} ${buf} while it is pinned`);
  for (const attach of attachmentsOf(kernel, buf)) {
    const each = attachmentRow(kernel, attach);
    if (each.mapping !== 'current') continue;
    if (each.dynamic && !each.notified) complain(kernel, me, 'B-20', `${me} ${verb} ${buf} and has not told ${attach}`);
    if (!each.dynamic && row.pins === 0)
      complain(kernel, me, 'I-15', `${me} ${verb} ${buf} while ${attach} has it mapped`);
    each.mapping = 'old';
  }
  row.moving = true;
}
/** The copy is done, and the old place is somebody else's: whoever still uses an old mapping finds that (B-22). */
export const dma_buf_finish_move = instruction('dma_buf_finish_move', (buf: string) => ({ buf }), {
  text: ({ buf }) => `move(${buf}) /* is over */`,
  touches: onBuf,
  run: (kernel, _me, { buf }) => {
    bufRow(kernel, buf).moving = false;
    for (const attach of attachmentsOf(kernel, buf))
      if (attachmentRow(kernel, attach).mapping === 'old') attachmentRow(kernel, attach).mapping = 'gone';
  },
});
/** The storage will go for good: no new mapping, and the old ones as with a move (drivers/vfio/pci/vfio_pci_dmabuf.c). */
export const dma_buf_revoke = instruction('dma_buf_revoke', (buf: string) => ({ buf }), {
  text: ({ buf }) => `revoke(${buf})`,
  touches: onBuf,
  run: (kernel, me, { buf }) => {
    bufRow(kernel, buf).revoked = true;
    beginMove(kernel, me, buf, 'revokes');
  },
});

/** Why a device that uses its mapping reaches the wrong memory, or nothing (B-21, B-22, B-25). */
export function staleMapping(kernel: KernelState, attach: string): string | null {
  const { buf, mapping } = attachmentRow(kernel, attach);
  if (mapping === 'none') return `${attach} has no mapping`;
  if (mapping === 'gone') return `the mapping of ${attach} leads to where ${buf} was`;
  return mapping === 'current' && bufRow(kernel, buf).moving ? `the move of ${buf} is not over` : null;
}
/** The importer's device uses the mapping. */
export const dma_buf_device_access = instruction('dma_buf_device_access', (attach: string) => ({ attach }), {
  text: ({ attach }) => `the device behind ${attach} uses its mapping`,
  touches: onAttachment,
  run: (kernel, me, { attach }) =>
    note(kernel, me, {
      kind: 'accesses',
      bo: attachmentRow(kernel, attach).buf,
      by: me,
      stale: staleMapping(kernel, attach),
    }),
});

const passOn = (...codes: readonly string[]): Block => [if_ret(codes, [return_('ret')])];
const underResv = (body: Block): Block => [
  of_attachment('$attach'),
  dma_resv_lock('$resv'),
  body,
  set('ret', 'ret'),
  dma_resv_unlock('$resv'),
  return_('$ret'),
];
export const dmaBuf: KernelObject = {
  schema: fields,
  ops: [
    of_attachment,
    of_buf,
    exporter_op,
    export_checks,
    dma_buf_get,
    put,
    release_checks,
    attach_checks,
    attach_links,
    attach_caches,
    detach_checks,
    detach_unlinks,
    pin_checks,
    pin_counts,
    unpin_checks,
    map_checks,
    map_pinned,
    mapped,
    unpinned,
    map_kind,
    unmap_checks,
    dma_buf_move_notify,
    dma_buf_begin_move,
    dma_buf_finish_move,
    dma_buf_revoke,
    dma_buf_device_access,
  ],
  routines: {
    exporter_succeeds: [return_('0')],
    dma_buf_attach: [
      of_attachment('$attach'),
      attach_checks('$attach'),
      passOn('-EINVAL'),
      kmalloc('GFP_KERNEL', 'attach'),
      passOn('-ENOMEM'),
      exporter_op('$buf', 'attach', '$attach'),
      if_ret('0', [], [return_('ret')]),
      dma_resv_lock('$resv'),
      attach_links('$attach'),
      if_ret('maps', [call('dma_buf_map_attachment', { attach: '$attach' }), attach_caches('$attach')]),
      dma_resv_unlock('$resv'),
      return_('0'),
    ],
    dma_buf_detach: [
      of_attachment('$attach'),
      detach_checks('$attach'),
      dma_resv_lock('$resv'),
      detach_unlinks('$attach'),
      if_ret('maps', [call('dma_buf_unmap_attachment', { attach: '$attach' })]),
      dma_resv_unlock('$resv'),
      exporter_op('$buf', 'detach', '$attach'),
      return_('0'),
    ],
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
  leftovers: (kernel) => [
    ...Object.entries(kernel.attachments).flatMap(([each, { buf, attached, mapping }]) => [
      ...(attached ? [`${each} is still attached to ${buf}`] : []),
      ...(mapping === 'none' ? [] : [`${each} still maps ${buf}`]),
    ]),
    ...Object.entries(kernel.dma_bufs).flatMap(([each, { pins, vmaps }]) => [
      ...(pins > 0 ? [`${each} is still pinned`] : []),
      ...(vmaps > 0 ? [`${each} is still mapped by the kernel`] : []),
    ]),
  ],
};
