/** What went wrong, as `code` (the service's codes, see docs/http-api.md), a message, and the field it is about. */
export class EdgeError extends Error {
  constructor(code, message, { field = null, cause } = {}) {
    super(message, { cause });
    this.name = 'EdgeError';
    this.code = code;
    this.field = field;
  }
}

/** A value as it may stand in a message. */
export function shown(value) {
  if (typeof value === 'string') return `'${value.length > 80 ? `${value.slice(0, 79)}…` : value}'`;
  try {
    return String(JSON.stringify(value)).slice(0, 80);
  } catch {
    return String(value).slice(0, 80);
  }
}
