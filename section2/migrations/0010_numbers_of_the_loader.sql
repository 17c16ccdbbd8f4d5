set local role owner;

-- A load of sales brings its own numbers: those that the shop gives from then on begin above them.
grant select, update on sequence sales.sales_transaction_transaction_id_seq to loader;
