// The name that stands with a person's reviews and signatures. A browser keeps it, for each who
// signs in.

const NAME = "leukd.reviewer";

const key = (session) => `${NAME} ${session.identity}`;

export const known = (session) => localStorage.getItem(key(session));
export const remember = (session, name) => localStorage.setItem(key(session), name);
export const forget = (session) => localStorage.removeItem(key(session));
export const suggested = (session) => known(session) ?? session.identity.replace(/^token:/, "");
