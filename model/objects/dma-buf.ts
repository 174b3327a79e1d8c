/**
 * dma_buf: a buffer that several devices reach, and what exporter and importers owe each other (drivers/dma-buf/dma-buf.c,
 * include/linux/dma-buf.h; B-1..B-5, B-42, B-43).
 *
 * What decides is who may move the storage and who must hear of it. A static importer pins the buffer for as long as it
 * is mapped; a dynamic one is told before a move, and its mapping leads to the old place from then on. So a mapping has
 * four states: none, current, old (a move has begun; what was fenced before may still use it), gone. Here a buffer begins
 * and ends; importers come in dma-buf-attach.ts, map in dma-buf-map.ts, and hear of moves in dma-buf-move.ts.
 */
import {
  type Block,
  type Frame,
  type KernelObject,
  type KernelState,
  type Thread,
  complain,
  instruction,
  pushCall,
  returns,
} from '../machine.ts';
import { type Kept, constant, fixedName, flag, int, maybe, name, oneOf, table } from '../schema.ts';
import { holds } from './context.ts';
import { if_ret, return_ } from './flow.ts';
import { kmalloc } from './memory.ts';

/** Pins, kernel mappings and references that a buffer can have; more is a design that never gives back (B-10). */
export const MOST_COUNTED = 15;
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
    /** The importer's own mark: its callback says that new work needs a new mapping (B-21). */
    stale: flag,
  }),
};
declare module '../machine.ts' {
  interface Slices extends Kept<typeof fields> {}
}
type BufRow = Kept<typeof fields>['dma_bufs'][string];
type AttachmentRow = Kept<typeof fields>['attachments'][string];

export const bufRow = (kernel: KernelState, buf: string): BufRow => kernel.dma_bufs[buf] as BufRow;
export const attachmentRow = (kernel: KernelState, attach: string): AttachmentRow =>
  kernel.attachments[attach] as AttachmentRow;
export const onBuf = ({ buf }: { buf: string }): [['dma_bufs', string]] => [['dma_bufs', buf]];
export const onAttachment = ({ attach }: { attach: string }): [['attachments', string]] => [['attachments', attach]];
export const attachmentsOf = (kernel: KernelState, buf: string): string[] =>
  Object.keys(kernel.attachments).filter((each) => attachmentRow(kernel, each).buf === buf);
/** Does the exporter move its buffers: has it a pin op (B-5)? */
const isDynamic = (kernel: KernelState, buf: string): boolean => bufRow(kernel, buf).pin !== '';
export const isPinnedBy = (kernel: KernelState, attach: string): boolean =>
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
export const of_attachment = instruction('dma_buf_of_attachment', (attach: string) => ({ attach }), {
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

export const passOn = (...codes: readonly string[]): Block => [if_ret(codes, [return_('ret')])];

export const dmaBuf: KernelObject = {
  schema: fields,
  ops: [of_attachment, of_buf, exporter_op, export_checks, dma_buf_get, put, release_checks],
  routines: { exporter_succeeds: [return_('0')] },
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
